"""The commands that one connection has to send: a bounded queue that knows the outcome of each command in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome

MAX_QUEUED_BYTES: Final = 16 * 1024 * 1024
"""The most bytes that may wait for Redis or its answers: several seconds of a busy node, and little memory."""

OVERHEAD_BYTES: Final = 256
"""What a command counts for beside its own bytes, so that many small ones are bounded too."""

BATCH_BYTES: Final = 64 * 1024
"""Commands are joined up to this size into one write."""


class PendingCommand(NamedTuple):
    """One command on its way to Redis, whose answer tells whether it arrived."""

    command: bytes
    on_result: OnResult
    interest: Interest | None = None
    """Whose listeners miss something if the command fails; None if that is no single interest."""

    @property
    def size(self) -> int:
        """Return the bytes it counts for."""
        return len(self.command) + OVERHEAD_BYTES


OnResult: TypeAlias = Callable[[PendingCommand, Outcome, object], None]
"""Called once per command with its outcome and the server's answer, an exception if the answer is an error."""


def ignore(command: PendingCommand, outcome: Outcome, answer: object) -> None:
    """Ignore the result of a command."""


class CommandQueue:
    """Holds commands in order: first those to write, then those whose answer is awaited. Pure: no I/O.

    Every command that was put gets its result exactly once: ACCEPTED or DROPPED by its answer. If the connection fails
    first, DROPPED if the command was not written, UNKNOWN if it was.
    """

    def __init__(self, max_bytes: int = MAX_QUEUED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._waiting: deque[PendingCommand] = deque()
        self._written: deque[PendingCommand] = deque()
        self.is_open = False
        """Whether there is a connection; without one the queue takes nothing."""

    def put(self, command: PendingCommand) -> bool:
        """Add a command at the end. Return False, and never call `on_result`, without a connection or room."""
        size = command.size
        if not self.is_open or self._size + size > self._max_bytes:
            return False
        self._size += size
        self._waiting.append(command)
        return True

    def put_first(self, command: PendingCommand) -> None:
        """Add a command before all others, full or not: one that checks whether Redis is there."""
        self._size += command.size
        self._waiting.appendleft(command)

    def next_batch(self) -> bytes:
        """Return the next commands to write, joined; empty if none wait. From now on their answers are awaited."""
        size, commands = 0, []
        while self._waiting and size < BATCH_BYTES:
            command = self._waiting.popleft()
            self._written.append(command)
            commands.append(command.command)
            size += len(command.command)
        return b"".join(commands)

    def answered(self, answer: object) -> bool:
        """Report the answer to the oldest command that was written; return False if none awaits one."""
        if not self._written:
            return False
        command = self._written.popleft()
        self._size -= command.size
        command.on_result(command, Outcome.DROPPED if isinstance(answer, Exception) else Outcome.ACCEPTED, answer)
        return True

    def close(self) -> None:
        """Report the result of everything in the queue: the connection has failed."""
        self.is_open = False
        written, self._written = self._written, deque()
        waiting, self._waiting = self._waiting, deque()
        self._size = 0
        for command in written:
            command.on_result(command, Outcome.UNKNOWN, None)
        for command in waiting:
            command.on_result(command, Outcome.DROPPED, None)


class PublishResult:
    """The outcome of several commands that belong together, such as the copies of one publication.

    Args:
        on_result: Called with the result of each copy as well.
    """

    def __init__(self, on_result: OnResult = ignore) -> None:
        self.expected = 0
        """How many commands have no result yet."""
        self._on_result = on_result
        self._worst = Outcome.ACCEPTED
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def copy_done(self, command: PendingCommand, outcome: Outcome, answer: object) -> None:
        """Record the result of a copy, and report it to `on_result`."""
        self._on_result(command, outcome, answer)
        self.command_done(command, outcome, answer)

    def command_done(self, command: PendingCommand, outcome: Outcome, answer: object) -> None:
        """Record the result of a command that is no copy."""
        self.expected -= 1
        if outcome is not Outcome.ACCEPTED:
            self._worst = outcome
        if not self.expected and not self._done.done():
            self._done.set_result(None)

    async def outcome(self, seconds: float) -> Outcome:
        """Return the worst outcome of all; UNKNOWN if an answer takes longer than `seconds`."""
        if self.expected:
            await asyncio.wait({self._done}, timeout=seconds)
        return Outcome.UNKNOWN if self.expected else self._worst
