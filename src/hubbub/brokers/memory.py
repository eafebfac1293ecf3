"""The broker of one process: to publish is to deliver."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from hubbub.brokers.base import Deliver, OnLoss, Publication
from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome


class MemoryBroker:
    """Delivers within the call, so nothing is ever lost or out of order."""

    def __init__(self) -> None:
        self._deliver: Deliver | None = None

    async def start(self, deliver: Deliver, on_loss: OnLoss) -> None:
        """Begin to deliver."""
        self._deliver = deliver

    async def stop(self) -> None:
        """Stop delivery."""
        self._deliver = None

    @property
    def ready(self) -> bool:
        """Return whether it was started."""
        return self._deliver is not None

    def publish(self, publication: Publication) -> Outcome:
        """Deliver at once; DROPPED if the broker does not run."""
        if self._deliver is None:
            return Outcome.DROPPED
        self._deliver(publication, None)
        return Outcome.ACCEPTED

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Deliver at once."""
        return self.publish(publication)

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Do nothing: every listener is here."""
        return None

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        """Do nothing."""
