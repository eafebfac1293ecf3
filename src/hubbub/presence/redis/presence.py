"""The presence of many nodes, which share it in Redis or Valkey. Needs the extra ``hubbub[redis]``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from hubbub.brokers.base import Deliver, Publication
from hubbub.clock import Clock
from hubbub.contract.topics import Interest
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.metrics.stats import Stats
from hubbub.presence.base import Left
from hubbub.presence.redis.lease import LEASE_SECONDS, Lease
from hubbub.presence.redis.local_users import LocalUsers
from hubbub.presence.redis.reader import BATCH, Reader
from hubbub.presence.redis.reconciler import Fenced, Rounds, batches
from hubbub.presence.redis.replica import Entry, News, Replica, Stored
from hubbub.presence.redis.repository import Ledger
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import BadUpdate, publication_of, read_update
from hubbub.redis.channels import BUCKETS, DEFAULT_PREFIX, Channels, bucket_of
from hubbub.redis.connection import FAILURES, Dialer
from hubbub.redis.pipeline import SECONDS, Store
from hubbub.redis.throttled_logger import Complaints

logger = logging.getLogger("hubbub.presence")

READ_SECONDS: Final = 1.0
"""What a snapshot may take; after that its subscriber is told to fetch again."""

REFRESHED_AT_ONCE: Final = 1024
"""Users read again in one round, so that one after a gap does not keep the next from beginning."""

STOP_SECONDS: Final = 2.0
"""What the last writes may take when a node ends. What is left over then, the other nodes do."""


class RedisPresence:
    """Derives every user's status from the sockets of all nodes.

    A node writes how many sockets of a user it has, once per tick where that has changed, and nothing per heartbeat. A
    script makes each change and what it leads to in one step, publishes it where it does, and counts its versions. A
    node that falls silent loses its lease, and the others take its sockets as closed.

    url, prefix: as for RedisBroker. hears: tells whether anything on this node listens to a topic, or to a user.
    away_after, offline_after: as in Tracker. An end is announced one tick later than in one process, since somebody who
    has come back on another node in time may be written there only then. lease: seconds after which a silent node is
    taken for dead, at least five ticks.

    Raises ConfigurationError where the URL or the prefix is none, or the client library is missing.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        stats: Stats,
        hears: Callable[[Interest], bool],
        away_after: float,
        offline_after: float,
        tick: float = 1.0,
        prefix: str = DEFAULT_PREFIX,
        lease: float = LEASE_SECONDS,
        seconds: float = SECONDS,
    ) -> None:
        """seconds: what a server may take to answer."""
        self.deliver: Deliver = lambda publication, matched: None
        """Takes what only this node's sockets have missed, and passes it on: set before ``start``."""
        self._clock = clock
        self._stats = stats
        self._complaints = Complaints(stats, logger)
        self._grace = offline_after + tick
        self._local = LocalUsers(
            away_after=away_after, offline_after=offline_after, tick=tick, bucket_of=bucket_of, buckets=BUCKETS
        )
        self._replica = Replica(hears)
        self._lease = Lease(max(lease, 5 * tick), tick)
        self._store = Store(Dialer(url, seconds), seconds)
        self._ledger = Ledger(self._store, Channels(prefix), self._lease)
        self._reader: Reader[Stored | None] = Reader(self._ledger.read)
        self._rounds = Rounds(self._ledger, self._lease, self._local, self._grace, clock, stats, self._tell_left)
        self._left: Left = lambda seen: None
        self._round: asyncio.Task[None] | None = None
        self._complaint = ""
        self._is_running = False

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self, left: Left) -> None:
        """Takes a lease; raises ConfigurationError, with the remedy, where that is not possible."""
        self._left = left
        try:
            await self._rounds.beat()
        except (*FAILURES, LookupError) as error:
            await self._store.close()
            raise ConfigurationError(
                f"cannot keep presence in Redis at {self._store.name}: {error}. Start it, or correct redis_url"
            ) from None
        self._is_running = True

    async def stop(self) -> Mapping[str, float]:
        """Writes what has changed, and leaves the rest to the other nodes once who is here could have come back there.

        Gives when each user here was last seen, in seconds since the epoch.
        """
        self._is_running = False
        if self._round is not None and not self._round.done():
            await asyncio.wait({self._round}, timeout=STOP_SECONDS)
            self._round.cancel()
            await asyncio.wait({self._round})
        now = self._clock.monotonic()
        seen = self._local.last_seen_now(now)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._rounds.write()
                if len(self._local):
                    await self._ledger.beat(self._grace)
                else:
                    await self._ledger.remove(self._lease.incarnation)
        except (*FAILURES, LookupError, Fenced) as error:
            logger.warning("presence was not written at the end, the other nodes find out by themselves: %s", error)
        await self._reader.stop()
        await self._store.close()
        return {user_id: self._rounds.since_epoch(moment) for user_id, moment in seen.items()}

    # --- what happens on this node ------------------------------------------------------------------------------------

    def connect(self, user_id: str) -> None:
        """Counts a socket that was registered here."""
        self._local.connect(user_id, self._clock.monotonic())

    def disconnect(self, user_id: str) -> None:
        """Counts a registered socket that is gone."""
        self._local.disconnect(user_id, self._clock.monotonic())

    def touch(self, user_id: str) -> bool:
        """Records activity of a user with a socket here; tells whether there is one."""
        return self._local.touch(user_id, self._clock.monotonic())

    def tick(self) -> Sequence[Presence]:
        """Begins a round of work unless one is under way. What it leads to, the store publishes by itself."""
        self._local.find_away(self._clock.monotonic())
        if self._is_running and (self._round is None or self._round.done()):
            self._round = asyncio.create_task(self._work())
        return ()

    async def idle(self) -> None:
        """Waits until no round is under way."""
        if self._round is not None and not self._round.done():
            await asyncio.wait({self._round})

    # --- what others hear of it ---------------------------------------------------------------------------------------

    def observe(self, publication: Publication) -> bool:
        """Takes in a change that has arrived; says whether it is news here."""
        try:
            news = self._replica.observe(*read_update(publication))
        except BadUpdate as error:
            self._complaints.make("presence_bad", "a change of presence is not understood: %s", error)
            return False
        if news is News.OLD:
            self._stats.errors["presence_old"] += 1
        return news is News.NEWS

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Gives the announced status of users, in the order asked.

        Raises Unavailable where they could not be read within a second.
        """
        asked = list(user_ids)
        known = {user_id: self._replica.known(user_id) for user_id in asked}
        unknown = [user_id for user_id, presence in known.items() if presence is None]
        if unknown:
            expected = {user_id: self._replica.expect(user_id) for user_id in unknown}
            stored = await self._read(unknown)
            for user_id in unknown:
                known[user_id] = self._absorb(user_id, stored[user_id], expected[user_id])
        return [presence for user_id in asked if (presence := known[user_id]) is not None]

    def lost(self, interests: Iterable[Interest] | None) -> None:
        """Is told for what changes may not have arrived here, None for all: they are read again."""
        self._replica.doubt(interests)

    def forget(self, interests: Iterable[Interest]) -> None:
        """Is told what nothing on this node listens to any more."""
        self._replica.forget(interests)

    # --- details ------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            try:
                await self._rounds.run()
            except Fenced as error:
                logger.warning("presence begins again under a new name: %s", error)
                self._lease.begin_again()
                self._local.begin_again()
                self._replica.lost_all(self._clock.monotonic())
                await self._rounds.run()  # at once, before the others take the users of the old name as gone
            await self._refresh()
        except (*FAILURES, LookupError, Fenced) as error:
            self._stats.errors["presence_store"] += 1
            self._complain(f"{error}" or type(error).__name__)
        except Exception:
            self._stats.errors["presence"] += 1
            logger.exception("a round of presence failed")
        else:
            if self._complaint:
                logger.warning("presence is kept again in Redis at %s", self._store.name)
                self._complaint = ""

    async def _read(self, user_ids: Sequence[str]) -> dict[str, Stored | None]:
        try:
            return await self._reader.read(user_ids, READ_SECONDS)
        except (*FAILURES, LookupError) as error:
            if self._complaint:  # it has been said already
                self._stats.errors["presence_unread"] += 1
            else:
                self._complaints.make("presence_unread", "presence cannot be read at %s: %s", self._store.name, error)
            raise Unavailable("presence cannot be read at the moment") from error

    async def _refresh(self) -> None:
        """Reads some of what is known again, and tells the listeners here what they have missed."""
        for users in batches(self._replica.due(self._clock.monotonic(), REFRESHED_AT_ONCE), BATCH):
            expected = {user_id: self._replica.expect(user_id) for user_id in users}
            try:
                stored = await self._ledger.read(users)
            except BaseException:
                self._replica.doubt(users)
                raise
            for user_id, found in zip(users, stored, strict=True):
                self._absorb(user_id, found, expected[user_id])

    def _absorb(self, user_id: str, stored: Stored | None, expected: Entry | None) -> Presence:
        presence, missed = self._replica.absorb(user_id, stored, expected, self._clock.monotonic())
        if missed is not None:
            self.deliver(publication_of(presence, missed), None)
            self._replica.told(user_id, missed)
        return presence

    def _tell_left(self, seen: Mapping[str, float]) -> None:
        self._left(seen)

    def _complain(self, reason: str) -> None:
        """Says what is wrong: once, and again where it changes."""
        if reason != self._complaint:
            self._complaint = reason
            logger.warning("presence is not kept in Redis at %s: %s", self._store.name, reason)
