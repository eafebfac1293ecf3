"""What became of all copies of one publication."""

from __future__ import annotations

import asyncio

from hubbub.outcome import Outcome
from hubbub.redis.command_queue import Parcel, Settle


class Receipt:
    """Waits for the answers to the copies that were sent, and passes each on."""

    def __init__(self, settle: Settle) -> None:
        self.expected = 0
        """Copies whose answer is awaited."""
        self._pass_on = settle
        self._worst = Outcome.ACCEPTED
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, parcel: Parcel, outcome: Outcome, answer: object) -> None:
        """Takes in what became of one copy, and passes it on."""
        self._pass_on(parcel, outcome, answer)
        self.count(parcel, outcome, answer)

    def count(self, parcel: Parcel, outcome: Outcome, answer: object) -> None:
        """Takes in what became of something that belongs to it and concerns nobody else."""
        self.expected -= 1
        if outcome is not Outcome.ACCEPTED:
            self._worst = outcome
        if not self.expected and not self._done.done():
            self._done.set_result(None)

    async def outcome(self, seconds: float) -> Outcome:
        """Gives the worst of what became of the copies; UNKNOWN where an answer takes longer than ``seconds``."""
        if self.expected:
            await asyncio.wait({self._done}, timeout=seconds)
        return Outcome.UNKNOWN if self.expected else self._worst
