"""The broker of many nodes: Redis 7 or Valkey, one server or a Cluster."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from hubbub.brokers.base import Deliver, Lost, Publication
from hubbub.brokers.codec import BadPublication, Duplicates, Fault, Ids, decode, encode, parts
from hubbub.brokers.redis.command_log import Keeping
from hubbub.brokers.redis.resync_publisher import RESYNC, Amends
from hubbub.contract.topics import Interest
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.redis.channels import DEFAULT_PREFIX, Channels
from hubbub.redis.cluster import Links
from hubbub.redis.command_queue import MAX_BYTES, Parcel, Settle
from hubbub.redis.connection import FAILURES, Dialer
from hubbub.redis.receipt import Receipt
from hubbub.redis.shard import Link, Timing
from hubbub.redis.throttled_logger import Complaints

logger = logging.getLogger("hubbub.brokers")

START_SECONDS: Final = 5.0
"""What it may take to connect when the node starts."""

ANSWER_SECONDS: Final = 1.0
"""What ``publish_and_wait`` waits for."""

CONFIRM_SECONDS: Final = 3.0
"""What somebody who begins to listen is kept waiting; after that their first events may be missing, and are owed."""

STOP_SECONDS: Final = 1.0
"""What is left to send gets this long when the node stops."""


class RedisBroker:
    """Carries publications over sharded pub/sub; every node has two connections per server, whatever its sockets.

    Each interest has a channel, and a node subscribes to those it has listeners for. A publication goes to the channels
    of its audience one after another, over one connection per server, so that the order per topic is that of
    publishing. There is no transaction around them: it would not hold across the servers of a Cluster, and what
    it would save, a publication that only some channels get, is owed a resync anyway.

    url: ``redis://``, ``rediss://`` or ``unix://``; of a Cluster, any member.
    kept: the types of publications that a node must not miss, though it was cut off: they are read again after a gap.
    prefix: what the names of keys and channels begin with.
    max_bytes: what may wait for a server that is slow.

    Raises ConfigurationError where the URL or the prefix is none, or the client library is missing.
    """

    def __init__(
        self,
        url: str,
        *,
        stats: Stats,
        kept: Collection[str] = (),
        prefix: str = DEFAULT_PREFIX,
        timing: Timing | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.watchers: list[Callable[[bool], None]] = []
        """Are told on the event loop when ``ready`` changes; before it becomes true, ``lost`` was called."""
        self._channels = Channels(prefix)
        self._timing = timing or Timing()
        self._dialer = Dialer(url, self._timing.connect)
        self._complaints = Complaints(stats, logger)
        self._ids = Ids()
        self._duplicates = Duplicates()
        self._links = Links(self._dialer, self._channels, self, self._timing, max_bytes)
        self._amends = Amends(self._links, self._channels, self._ids, self._complaints)
        self._keeping = Keeping(
            kept, self._links, self._channels, self._complaints, lambda missed: self._hand_over(missed, None)
        )
        self._is_ready = False
        self._deliver: Deliver | None = None
        self._lost: Lost = _tell_nobody
        self._started: asyncio.Future[None] | None = None

    # --- Broker -------------------------------------------------------------------------------------------------------

    async def start(self, deliver: Deliver, lost: Lost) -> None:
        """Connects; raises ConfigurationError where that fails within five seconds."""
        self._deliver, self._lost = deliver, lost
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._started = started
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._links.start()
                await started
        except (*FAILURES, LookupError) as error:
            reason = str(error) or f"not ready within {START_SECONDS:g} s, see the log"
            await self.stop()
            raise ConfigurationError(
                f"cannot work with Redis at {self._dialer.shown}: {reason}. Start it, or correct redis_url"
            ) from None

    async def stop(self) -> None:
        """Sends what is left within a second, and disconnects."""
        await self._links.drain(STOP_SECONDS)
        self._deliver, self._lost = None, _tell_nobody
        self._amends.stop()
        await self._links.stop()
        self._tell_readiness()

    @property
    def ready(self) -> bool:
        """Tells whether every server delivers what is published there to this node."""
        return self._is_ready

    def publish(self, publication: Publication) -> Outcome:
        """Queues it; what is dropped now or later is owed a resync."""
        return self._publish(publication, None)

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Publishes, and waits at most a second for Redis to take all copies of it."""
        receipt = Receipt(self._amends.settle)
        outcome = self._publish(publication, receipt)
        answer = await receipt.outcome(ANSWER_SECONDS)
        return answer if outcome is Outcome.ACCEPTED else outcome

    def listen(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Subscribes to channels, all that are asked for in one turn of the loop together."""
        unconfirmed: dict[Link, list[bytes]] = {}
        for interest in interests if self._links else ():
            bucket, channel = self._channels.locate(interest)
            link = self._links[bucket]
            if not link.listening.want(channel, interest):
                unconfirmed.setdefault(link, []).append(channel)
        for link in unconfirmed:
            link.ask()
        return _confirmation(unconfirmed) if unconfirmed else None

    def unlisten(self, interests: Iterable[Interest]) -> None:
        """Unsubscribes from channels a second later, unless somebody has begun to listen again."""
        for interest in interests if self._links else ():
            bucket, channel = self._channels.locate(interest)
            self._links[bucket].unwant(channel)

    # --- publishing ---------------------------------------------------------------------------------------------------

    def _publish(self, publication: Publication, receipt: Receipt | None) -> Outcome:
        outcome = Outcome.ACCEPTED
        settle = self._amends.settle if receipt is None else receipt.settle
        for part, interests in parts(publication):
            id = self._ids.next()
            try:
                data = encode(part, id)
            except BadPublication as error:
                self._complaints.make(f"redis_{error.fault}", "not published: %s", error)
                self._amends.owe(interests)
                outcome = Outcome.DROPPED
                continue
            for interest in interests:
                if not self._send(interest, data, settle):
                    self._amends.owe((interest,))
                    outcome = Outcome.DROPPED
                elif receipt is not None:
                    receipt.expected += 1
            if self._keeping.keeps(part) and not self._keeping.keep(id, data, receipt):
                outcome = Outcome.DROPPED
        if outcome is Outcome.DROPPED:
            self._complaints.make("redis_dropped", "dropped: %s", publication.type)
        return outcome

    def _send(self, interest: Interest, data: bytes, settle: Settle) -> bool:
        if not self._links:
            return False
        bucket, channel = self._channels.locate(interest)
        link = self._links[bucket]
        return link.send(Parcel(link.dialect.publish(channel, data), settle, interest))

    # --- what links tell ----------------------------------------------------------------------------------------------

    def arrived(self, link: Link, channel: bytes, data: bytes) -> None:
        """Checks what was published on a channel, and delivers it."""
        if channel not in link.listening or self._deliver is None:
            return
        interest = link.listening.interest(channel)
        try:
            publication, id = decode(data, interest)
            if self._duplicates.seen(id, interest):
                raise BadPublication(Fault.DUPLICATE, f"a {publication.type} arrived twice")
        except BadPublication as error:
            self._complaints.make(f"redis_{error.fault}", "dropped what arrived on %r: %s", channel, error)
            return
        if self._keeping.keeps(publication):
            self._keeping.knows(id)
        if publication.type == RESYNC:
            self._lost(None if interest is None else (interest,))
        elif interest is not None:
            self._hand_over(publication, interest)

    def _hand_over(self, publication: Publication, matched: Interest | None) -> None:
        if self._deliver is None:
            return
        try:
            self._deliver(publication, matched)
        except Exception:
            self._complaints.stats.errors["redis_deliver"] += 1
            logger.exception("delivering %s failed", publication.type)

    def lost(self, interests: Iterable[Interest] | None) -> None:
        """Passes on what may not have arrived here."""
        self._lost(interests)

    def is_up(self, link: Link) -> None:
        """Pays what is owed, and says that this node is ready, if it is."""
        self._amends.make()
        self._tell_readiness()

    def is_fine(self, link: Link) -> None:
        """Remembers until when nothing was missed, by the server's clock."""
        self._keeping.is_fine(link)

    def is_down(self, link: Link) -> None:
        """Looks whether the server's channels are elsewhere by now."""
        self._links.doubt()
        self._tell_readiness()

    def has_moved(self, link: Link) -> None:
        """Looks where the channels are."""
        self._links.doubt()

    def _tell_readiness(self) -> None:
        is_ready = self._links.are_up
        if is_ready and self._started is not None and not self._started.done():
            self._started.set_result(None)
        if is_ready is not self._is_ready:
            self._is_ready = is_ready
            if is_ready:
                self._keeping.catch_up()
            for watcher in list(self.watchers):
                watcher(is_ready)


def _tell_nobody(interests: Iterable[Interest] | None) -> None:
    """Is told what is lost while the broker does not run: nobody listens."""


def _confirmation(unconfirmed: dict[Link, list[bytes]]) -> asyncio.Future[None]:
    """Gives a future that is done when all channels are confirmed, or that takes too long."""
    loop = asyncio.get_running_loop()
    confirmed: asyncio.Future[None] = loop.create_future()
    left = len(unconfirmed)

    def one_is_done() -> None:
        nonlocal left
        left -= 1
        if not left and not confirmed.done():
            confirmed.set_result(None)

    waits = [(link, link.listening.wait(channels, one_is_done)) for link, channels in unconfirmed.items()]

    def give_up() -> None:
        for link, wait in waits:
            if wait.left:
                link.listening.give_up(wait)

    timer = loop.call_later(CONFIRM_SECONDS, give_up)
    confirmed.add_done_callback(lambda _: timer.cancel())
    return confirmed
