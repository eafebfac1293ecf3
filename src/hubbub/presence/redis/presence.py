"""The presence of many nodes, which share it in Redis or Valkey. Needs the extra `hubbub[redis]`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.clock import Clock
from hubbub.contract.topics import Interest
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceOutput
from hubbub.presence.redis.batched_reader import BATCH, BatchedReader
from hubbub.presence.redis.lease import LEASE_SECONDS, Lease
from hubbub.presence.redis.local_users import LocalUsers
from hubbub.presence.redis.reconciler import Fenced, Reconciler, batches
from hubbub.presence.redis.replica import Entry, Freshness, Replica, Stored
from hubbub.presence.redis.repository import PresenceRepository
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import BadUpdate, publication_of, read_update
from hubbub.redis.channels import BUCKETS, DEFAULT_PREFIX, Channels, bucket_of
from hubbub.redis.connection import FAILURES, Connector
from hubbub.redis.pipeline import TIMEOUT, RedisPipeline
from hubbub.redis.throttled_logger import OutageLog, ThrottledLogger

logger = logging.getLogger("hubbub.presence")

READ_SECONDS: Final = 1.0
"""How long a snapshot may take. After it, the subscriber gets a resync."""

REFRESH_LIMIT: Final = 1024
"""Users read again in one round, so that a round after a gap does not keep the next one from beginning."""

ROUND_TASK: Final = "hubbub presence round"
"""The name of the task of a round."""

STOP_SECONDS: Final = 2.0
"""How long the last writes may take when a node ends. The other nodes do the rest."""


class RedisPresence:
    """Derives every user's status from the sockets of all nodes.

    Once per tick a node writes how many sockets of a user it has, if that has changed; a heartbeat writes nothing. A
    script makes each change, and what follows from it, in one step: it counts the version up, and publishes. A node
    that falls silent loses its lease, and the others treat its sockets as closed.

    The scripts publish straight to the channels of a `RedisBroker`: every node needs one with the same URL and prefix.

    Offline is announced one tick later than in one process: a user who came back on another node in time may be written
    there only then.

    Args:
        url: As for `RedisBroker`.
        clock: The time.
        stats: Where faults are counted.
        away_after: As in `Tracker`.
        offline_after: As in `Tracker`.
        tick: Seconds between two rounds.
        prefix: As for `RedisBroker`.
        lease: Seconds after which a silent node counts as dead, at least five ticks.
        timeout: Seconds that a server may take to answer.

    Raises:
        ConfigurationError: The URL or the prefix is not valid, or the client library is missing.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        stats: Stats,
        away_after: float,
        offline_after: float,
        tick: float = 1.0,
        prefix: str = DEFAULT_PREFIX,
        lease: float = LEASE_SECONDS,
        timeout: float = TIMEOUT,
    ) -> None:
        self._clock = clock
        self._stats = stats
        self._log = ThrottledLogger(stats, logger)
        self._grace = offline_after + tick
        self.local = LocalUsers(
            away_after=away_after, offline_after=offline_after, tick=tick, bucket_of=bucket_of, buckets=BUCKETS
        )
        self.replica = Replica(self._has_listeners)
        self.lease = Lease(max(lease, 5 * tick), tick)
        self._pipeline = RedisPipeline(Connector(url, timeout))
        self.repository = PresenceRepository(self._pipeline, Channels(prefix), self.lease)
        self._reader: BatchedReader[Stored | None] = BatchedReader(self.repository.read)
        self._reconciler = Reconciler(
            self.repository, self.lease, self.local, self._grace, clock, stats, self._report_offline
        )
        self._output: PresenceOutput | None = None
        self._is_running = False
        self._round: asyncio.Task[None] | None = None
        url_shown = self._pipeline.display_url
        self._outage = OutageLog(
            logger, f"cannot keep presence in Redis at {url_shown}", f"presence in Redis at {url_shown} is back"
        )

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self, output: PresenceOutput) -> None:
        """Take a lease.

        Raises:
            ConfigurationError: That is not possible; the message names the remedy.
        """
        try:
            await self._reconciler.renew()
        except FAILURES as error:
            await self._pipeline.close()
            url = self._pipeline.display_url
            raise ConfigurationError(
                f"cannot keep presence in Redis at {url}: {error}. Start it, or correct redis_url"
            ) from None
        self._output = output
        self._is_running = True

    async def stop(self) -> Mapping[str, float]:
        """Write what has changed, and shorten the lease: users may come back on other nodes until it ends.

        Returns:
            When each user here was last seen, in seconds since the epoch.
        """
        self._is_running = False
        if self._round is not None and not self._round.done():
            await asyncio.wait({self._round}, timeout=STOP_SECONDS)
            self._round.cancel()
            await asyncio.wait({self._round})
        now = self._clock.monotonic()
        seen = self.local.last_seen_now(now)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._reconciler.write()
                if len(self.local):
                    await self.repository.renew(self._grace)
                else:
                    await self.repository.remove(self.lease.incarnation)
        except (*FAILURES, Fenced) as error:
            logger.warning("could not write presence at shutdown, other nodes will take its users offline: %s", error)
        await self.close()
        return {user_id: self._reconciler.since_epoch(moment) for user_id, moment in seen.items()}

    async def close(self) -> None:
        """Disconnect without a last write."""
        await self._reader.stop()
        await self._pipeline.close()

    # --- what happens on this node ------------------------------------------------------------------------------------

    def connect(self, user_id: str) -> None:
        """Count a socket that was registered here."""
        self.local.connect(user_id, self._clock.monotonic())

    def disconnect(self, user_id: str) -> None:
        """Count a registered socket that is gone."""
        self.local.disconnect(user_id, self._clock.monotonic())

    def touch(self, user_id: str) -> bool:
        """Record activity of a user, and return whether the user has a socket here."""
        return self.local.touch(user_id, self._clock.monotonic())

    def tick(self) -> None:
        """Do nothing: the scripts publish each change in the same step in which a round writes it."""

    def start_round(self) -> None:
        """Start a round of work, unless one is under way."""
        self.local.find_away(self._clock.monotonic())
        if self._is_running and (self._round is None or self._round.done()):
            self._round = asyncio.create_task(self._run_round(), name=ROUND_TASK)

    # --- what others hear of it ---------------------------------------------------------------------------------------

    def observe(self, publication: Publication) -> bool:
        """Apply a change that has arrived; return whether it is new here."""
        try:
            freshness = self.replica.observe(*read_update(publication))
        except BadUpdate as error:
            self._log.warn("presence_bad", "dropped a change of presence: %s", error)
            return False
        if freshness is Freshness.OLD:
            self._stats.errors["presence_old"] += 1
        return freshness is Freshness.NEW

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Return the announced status of users, in the order asked.

        Raises:
            Unavailable: It could not be read within a second.
        """
        asked = list(user_ids)
        known = {user_id: self.replica.known(user_id) for user_id in asked}
        unknown = [user_id for user_id, presence in known.items() if presence is None]
        if unknown:
            expected = {user_id: self.replica.begin_read(user_id) for user_id in unknown}
            stored = await self._read(unknown)
            for user_id in unknown:
                known[user_id] = self._absorb(user_id, stored[user_id], expected[user_id])
        return [presence for user_id in asked if (presence := known[user_id]) is not None]

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Read again the users whose changes may not have arrived here; None means all."""
        self.replica.mark_stale(interests)

    def forget(self, interests: Iterable[Interest]) -> None:
        """Forget users without a listener on this node."""
        self.replica.forget(interests)

    # --- details ------------------------------------------------------------------------------------------------------

    async def _run_round(self) -> None:
        try:
            try:
                await self._reconciler.run()
            except Fenced as error:
                logger.warning("lost the presence lease, continuing as a new incarnation: %s", error)
                self.lease.reset()
                self.local.rewrite_all()
                self.replica.store_was_reset(self._clock.monotonic())
                await self._reconciler.run()  # at once, before the others reap the users of the old incarnation
            await self._refresh()
        except (*FAILURES, Fenced) as error:
            self._stats.errors["presence_store"] += 1
            self._outage.failed(f"{error}" or type(error).__name__)
        except Exception:
            self._stats.errors["presence"] += 1
            logger.exception("a round of presence failed")
        else:
            self._outage.recovered()

    async def _read(self, user_ids: Sequence[str]) -> dict[str, Stored | None]:
        try:
            return await self._reader.read(user_ids, READ_SECONDS)
        except FAILURES as error:
            if self._outage:  # a log line has said so already
                self._stats.errors["presence_unread"] += 1
            else:
                url = self._pipeline.display_url
                self._log.warn("presence_unread", "presence cannot be read at %s: %s", url, error)
            raise Unavailable("presence cannot be read at the moment") from error

    async def _refresh(self) -> None:
        """Read some of what is known again, and deliver to the listeners here what they have missed."""
        for users in batches(self.replica.due(self._clock.monotonic(), REFRESH_LIMIT), BATCH):
            expected = {user_id: self.replica.begin_read(user_id) for user_id in users}
            try:
                stored = await self.repository.read(users)
            except BaseException:
                self.replica.mark_stale(users)
                raise
            for user_id, found in zip(users, stored, strict=True):
                self._absorb(user_id, found, expected[user_id])

    def _absorb(self, user_id: str, stored: Stored | None, expected: Entry | None) -> Presence:
        presence, missed = self.replica.absorb(user_id, stored, expected, self._clock.monotonic())
        if missed is not None and self._output is not None:
            self._output.deliver(publication_of(presence, missed))
            self.replica.delivered(user_id, missed)
        return presence

    def _has_listeners(self, interest: Interest) -> bool:
        return self._output is not None and self._output.has_listeners(interest)

    def _report_offline(self, last_seen: Mapping[str, float]) -> None:
        if self._output is not None:
            self._output.on_offline(last_seen)
