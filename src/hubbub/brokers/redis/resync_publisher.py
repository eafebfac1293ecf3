"""Resyncs for what this node published and lost: listeners on all nodes fetch again (docs/decisions/0006)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.brokers.codec import PublicationIds, encode
from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome
from hubbub.redis.cluster import ClusterConnections
from hubbub.redis.command_queue import PendingCommand
from hubbub.redis.throttled_logger import ThrottledLogger

RESYNC: Final = "hubbub.resync"
"""The type of a publication that tells the nodes, and no socket, that its audience may have missed something."""

MAX_SENT_ONE_BY_ONE: Final = 1000
"""Above this many interests, one message makes every node resync everything."""

MAX_PENDING: Final = 10_000
"""Interests remembered one by one. Above it everything is resynced, which is then the smaller message."""

RETRY_SECONDS: Final = 1.0
"""The time between two attempts to send."""


class PendingResyncs:
    """A bounded set of interests whose listeners need a resync; above the bound, everything."""

    def __init__(self, maximum: int = MAX_PENDING) -> None:
        self._maximum = maximum
        self._interests: dict[Interest, None] | None = {}

    def __bool__(self) -> bool:
        return self._interests != {}

    def add(self, interests: Iterable[Interest]) -> None:
        """Add the interests of a publication that was lost."""
        if self._interests is None:
            return
        self._interests.update(dict.fromkeys(interests))
        if len(self._interests) > self._maximum:
            self._interests = None

    def add_all(self) -> None:
        """Record that anything may have been lost."""
        self._interests = None

    def take(self) -> list[Interest] | None:
        """Return the interests, None for everything, and forget them. If they cannot be sent, add them again."""
        interests, self._interests = self._interests, {}
        return None if interests is None else list(interests)


class ResyncPublisher:
    """Remembers what was lost, and publishes resyncs for it until Redis has accepted them.

    Args:
        cluster: Sends them.
        ids: The ids of this node's publications.
        log: Counts and logs losses.
    """

    def __init__(self, cluster: ClusterConnections, ids: PublicationIds, log: ThrottledLogger) -> None:
        self._cluster = cluster
        self._ids = ids
        self._log = log
        self._pending = PendingResyncs()
        self._timer: asyncio.TimerHandle | None = None

    def on_result(self, command: PendingCommand, outcome: Outcome, answer: object) -> None:
        """Handle the result of a publication to one channel; without an interest, to the channel of every node."""
        if outcome is Outcome.ACCEPTED:
            return
        if isinstance(answer, Exception):
            self._log.warn("redis_refused", "refused: %s", answer)
            self._cluster.mark_stale()
        else:
            self._log.warn("redis_lost", "may be lost: the connection failed before Redis had answered")
        if command.interest is None:
            self._pending.add_all()
        self.add(() if command.interest is None else (command.interest,))

    def add(self, interests: Iterable[Interest]) -> None:
        """Remember that the listeners of these interests need a resync."""
        self._pending.add(interests)
        if self._timer is None and self._cluster.is_running:
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self.send)

    def send(self) -> None:
        """Send the pending resyncs; keep those that cannot be sent, and try again later."""
        self.stop()
        if not self._pending or not self._cluster.is_running:
            return
        interests = self._pending.take()
        if interests is None or len(interests) > MAX_SENT_ONE_BY_ONE:
            if not self._cluster.publish_to_all(self._encode(None), self.on_result):
                self._pending.add_all()
        else:
            self._pending.add([interest for interest in interests if not self._send(interest)])
        if self._pending:
            self.add(())

    def stop(self) -> None:
        """Stop trying again; what is pending stays so."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, interest: Interest) -> bool:
        return self._cluster.publish(interest, self._encode(interest), self.on_result)

    def _encode(self, interest: Interest | None) -> bytes:
        users = (interest,) if isinstance(interest, str) else ()
        topics = () if interest is None or isinstance(interest, str) else (interest,)
        return encode(Publication(RESYNC, b"", topics, users), self._ids.next())
