"""Nodes without HTTP servers: a broker, a hub, and sockets that record what they receive."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from hubbub.brokers.base import Broker, Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.bus.hub import Hub
from hubbub.contract.topics import Interest, Topic
from hubbub.metrics.stats import Stats
from hubbub.redis.shard import Timing
from tests.fakes import FakeSocket

QUICK = Timing(probe=0.1, silence=0.5, connect=1.0)
"""Short timeouts, so that tests of silent servers run fast."""


class Node:
    """One process with a broker, wired as the gateway does it."""

    def __init__(self, broker: Broker, stats: Stats) -> None:
        self.broker = broker
        self.stats = stats
        self.hub: Hub[Any] = Hub()
        self.arrived: list[tuple[Publication, Interest | None]] = []
        self.lost: list[list[Interest] | None] = []
        self._ids = itertools.count()
        self._wake: set[asyncio.Future[None]] = set()

    @property
    def is_remote(self) -> bool:
        """Return whether the node receives one copy per interest."""
        return not isinstance(self.broker, MemoryBroker)

    async def start(self) -> None:
        await self.broker.start(self._deliver, self._lose)

    async def socket(self, user: str, *topics: Topic) -> FakeSocket:
        """Add a socket, and wait until its subscriptions are active."""
        waiting = self.broker.subscribe((*topics, user))
        if waiting is not None:
            await waiting
        socket = FakeSocket(user, f"s{next(self._ids)}")
        self.hub.register(socket)
        self.hub.replace(socket, topics)
        return socket

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until a condition holds. Check it whenever a publication arrives or is lost."""
        async with asyncio.timeout(seconds):
            while not condition():
                future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._wake.add(future)
                await future

    async def until_ready(self, is_ready: bool = True, seconds: float = 10.0) -> None:
        """Wait until the broker is ready, or until it is not."""
        async with asyncio.timeout(seconds):
            while self.broker.ready is not is_ready:
                await asyncio.sleep(0.001)

    def _deliver(self, publication: Publication, matched: Interest | None) -> None:
        self.arrived.append((publication, matched))
        for socket in list(self.hub.audience(publication.topics, publication.users, publication.exclude, matched)):
            socket.write(publication.frame)
        self._wake_waiters()

    def _lose(self, interests: Iterable[Interest] | None) -> None:
        self.lost.append(None if interests is None else list(interests))
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        wake, self._wake = self._wake, set()
        for future in wake:
            if not future.done():
                future.set_result(None)


MakeNode = Callable[..., Awaitable[Node]]


@contextlib.asynccontextmanager
async def redis_nodes(url: str, **options: Any) -> AsyncIterator[MakeNode]:
    """Yield a function that makes nodes on one Redis, under their own prefix. `url` and options may differ per node."""
    settings = {"prefix": f"test-{secrets.token_hex(4)}", "timing": QUICK, **options}
    made: list[Node] = []

    async def make(url: str = url, **options: Any) -> Node:
        stats = Stats()
        node = Node(RedisBroker(url, stats=stats, **{**settings, **options}), stats)
        await node.start()
        made.append(node)
        return node

    try:
        yield make
    finally:
        for node in made:
            await node.broker.stop()


@contextlib.asynccontextmanager
async def memory_nodes() -> AsyncIterator[MakeNode]:
    """Yield a function that always returns the same node: memory is shared within one process only."""
    node = Node(MemoryBroker(), Stats())
    await node.start()

    async def make() -> Node:
        return node

    try:
        yield make
    finally:
        await node.broker.stop()


def publication(frame: bytes, *topics: Topic, users: Iterable[str] = (), **fields: Any) -> Publication:
    return Publication("server.test.event", frame, topics, tuple(users), **fields)
