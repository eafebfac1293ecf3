"""The broker of many nodes: Redis 7 or Valkey, one server or a Cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable
from typing import Final

from hubbub.brokers.base import REPLAYABLE, Deliver, OnLoss, Publication
from hubbub.brokers.codec import BadPublication, Duplicates, Fault, PublicationIds, decode, encode, split
from hubbub.brokers.redis.command_log import CommandLog
from hubbub.brokers.redis.resync_publisher import RESYNC, ResyncPublisher
from hubbub.contract.topics import Interest
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.redis.channels import DEFAULT_PREFIX, Channels
from hubbub.redis.cluster import ClusterConnections
from hubbub.redis.command_queue import MAX_QUEUED_BYTES, PublishResult
from hubbub.redis.connection import FAILURES, Connector
from hubbub.redis.shard import ShardConnection, Timing
from hubbub.redis.throttled_logger import ThrottledLogger

logger = logging.getLogger("hubbub.brokers")

START_SECONDS: Final = 5.0
"""What connecting may take when the node starts."""

ANSWER_SECONDS: Final = 1.0
"""How long `publish_and_wait` waits."""

STOP_SECONDS: Final = 1.0
"""What sending the rest may take when the node stops."""


class RedisBroker:
    """Carries publications over sharded pub/sub, on two connections per server, whatever the number of sockets.

    Each interest has a channel, and a node subscribes to the channels it has listeners for. A publication goes to the
    channels of its audience one after another, over one connection per server, so the order per topic is that of
    publishing. There is no transaction around them: it would not hold across the servers of a Cluster, and a
    publication that reaches only some channels is followed by a resync of the others anyway (docs/decisions/0006).

    Args:
        url: `redis://`, `rediss://` or `unix://`; any member of a Cluster.
        stats: Where losses and faults are counted.
        replayable: The types of publications that a node reads again after a gap; see `Broker`.
        prefix: The start of the names of keys and channels.
        timing: When trouble is noticed.
        max_bytes: The most bytes that may wait for a slow server.

    Raises:
        ConfigurationError: The URL or the prefix is not valid, or the client library is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        stats: Stats,
        replayable: Collection[str] = REPLAYABLE,
        prefix: str = DEFAULT_PREFIX,
        timing: Timing | None = None,
        max_bytes: int = MAX_QUEUED_BYTES,
    ) -> None:
        timing = timing or Timing()
        channels = Channels(prefix)
        self._connector = Connector(url, timing.connect)
        self._log = ThrottledLogger(stats, logger)
        self._ids = PublicationIds()
        self._duplicates = Duplicates()
        self._cluster = ClusterConnections(self._connector, channels, self, timing, max_bytes)
        self._resyncs = ResyncPublisher(self._cluster, self._ids, self._log)
        self._command_log = CommandLog(
            replayable, self._cluster, channels, self._log, lambda publication: self._hand_over(publication, None)
        )
        self._is_ready = False
        self._deliver: Deliver | None = None
        self._on_loss: OnLoss | None = None
        self._started: asyncio.Future[None] | None = None

    # --- Broker -------------------------------------------------------------------------------------------------------

    async def start(self, deliver: Deliver, on_loss: OnLoss) -> None:
        """Connect.

        Raises:
            ConfigurationError: That fails, or takes longer than five seconds.
        """
        self._deliver, self._on_loss = deliver, on_loss
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = started
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._cluster.start()
                await started
        except FAILURES as error:
            reason = str(error) or f"not ready within {START_SECONDS:g} s, see the log"
            await self.stop()
            raise ConfigurationError(
                f"cannot work with Redis at {self._connector.display_url}: {reason}. Start it, or correct redis_url"
            ) from None

    async def stop(self) -> None:
        """Send what is left within a second, and disconnect."""
        await self._cluster.drain(STOP_SECONDS)
        self._deliver = self._on_loss = None
        self._resyncs.stop()
        await self._cluster.stop()
        self._update_readiness()

    @property
    def ready(self) -> bool:
        """Return whether every server delivers to this node what is published there."""
        return self._is_ready

    def publish(self, publication: Publication) -> Outcome:
        """Queue it. If it is dropped, now or later, its listeners get a resync."""
        return self._publish(publication, None)

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Publish, and wait at most a second for Redis to accept all copies."""
        result = PublishResult(self._resyncs.on_result)
        outcome = self._publish(publication, result)
        answer = await result.outcome(ANSWER_SECONDS)
        return answer if outcome is Outcome.ACCEPTED else outcome

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Subscribe to channels, all that are asked for in one turn of the loop together."""
        return self._cluster.subscribe(interests)

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        """Unsubscribe from channels a second later, unless they get a listener again."""
        self._cluster.unsubscribe(interests)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def _publish(self, publication: Publication, result: PublishResult | None) -> Outcome:
        outcome = Outcome.ACCEPTED
        on_result = self._resyncs.on_result if result is None else result.copy_done
        for part, interests in split(publication):
            id = self._ids.next()
            try:
                data = encode(part, id)
            except BadPublication as error:
                self._log.warn(f"redis_{error.fault}", "not published: %s", error)
                self._resyncs.add(interests)
                outcome = Outcome.DROPPED
                continue
            for interest in interests:
                if not self._cluster.publish(interest, data, on_result):
                    self._resyncs.add((interest,))
                    outcome = Outcome.DROPPED
                elif result is not None:
                    result.expected += 1
            if self._command_log.is_replayable(part) and not self._command_log.append(id, data, result):
                outcome = Outcome.DROPPED
        if outcome is Outcome.DROPPED:
            self._log.warn("redis_dropped", "dropped: %s", publication.type)
        return outcome

    # --- what shards report -------------------------------------------------------------------------------------------

    def message(self, shard: ShardConnection, channel: bytes, data: bytes) -> None:
        """Check what was published on a channel, and deliver it."""
        if channel not in shard.subscriptions or self._deliver is None:
            return
        interest = shard.subscriptions.interest(channel)
        try:
            publication, id = decode(data, interest)
            if self._duplicates.seen(id, interest):
                raise BadPublication(Fault.DUPLICATE, f"a {publication.type} arrived twice")
        except BadPublication as error:
            self._log.warn(f"redis_{error.fault}", "dropped what arrived on %r: %s", channel, error)
            return
        if self._command_log.is_replayable(publication):
            self._command_log.arrived(id)
        if publication.type == RESYNC:
            self.on_loss(None if interest is None else (interest,))
        elif interest is not None:
            self._hand_over(publication, interest)

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Pass on what may not have arrived here."""
        if self._on_loss is not None:
            self._on_loss(interests)

    def shard_up(self, shard: ShardConnection) -> None:
        """Send pending resyncs, and become ready if all shards are up."""
        self._resyncs.send()
        self._update_readiness()

    def checkpoint(self, shard: ShardConnection) -> None:
        """Remember until when nothing was missed, by the server's clock."""
        self._command_log.checkpoint(shard)

    def shard_down(self, shard: ShardConnection) -> None:
        """Look whether the server's channels have moved elsewhere."""
        self._cluster.mark_stale()
        self._update_readiness()

    def slots_moved(self, shard: ShardConnection) -> None:
        """Look where the channels are."""
        self._cluster.mark_stale()

    # --- details ------------------------------------------------------------------------------------------------------

    def _hand_over(self, publication: Publication, matched: Interest | None) -> None:
        if self._deliver is None:
            return
        try:
            self._deliver(publication, matched)
        except Exception:
            self._log.stats.errors["redis_deliver"] += 1
            logger.exception("delivering %s failed", publication.type)

    def _update_readiness(self) -> None:
        is_ready = self._cluster.are_up
        if is_ready and self._started is not None and not self._started.done():
            self._started.set_result(None)
        if is_ready is not self._is_ready:
            self._is_ready = is_ready
            if is_ready:
                self._command_log.catch_up()
