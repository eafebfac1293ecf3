"""The broker of one process: publishing is delivering."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from hubbub.brokers.base import Deliver, Lost, Publication
from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome


class MemoryBroker:
    """Delivers within the call, so nothing is ever lost or out of order."""

    def __init__(self) -> None:
        self._deliver: Deliver | None = None

    async def start(self, deliver: Deliver, lost: Lost) -> None:
        """Begins to deliver."""
        self._deliver = deliver

    async def stop(self) -> None:
        """Ends delivery."""
        self._deliver = None

    @property
    def ready(self) -> bool:
        """Tells whether it was started."""
        return self._deliver is not None

    def publish(self, publication: Publication) -> Outcome:
        """Delivers at once; DROPPED where the broker does not run."""
        if self._deliver is None:
            return Outcome.DROPPED
        self._deliver(publication, None)
        return Outcome.ACCEPTED

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Delivers at once."""
        return self.publish(publication)

    def listen(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Has nothing to do: every listener is here."""
        return None

    def unlisten(self, interests: Iterable[Interest]) -> None:
        """Has nothing to do."""
