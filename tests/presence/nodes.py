"""Nodes without HTTP servers: each has a presence store, a broker and a hub, wired as in the gateway, on one clock."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cached_property
from typing import Any

from hubbub.brokers.base import Broker, Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.bus.hub import Hub
from hubbub.bus.interests import Interests
from hubbub.contract.topics import Interest, Topic
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore
from hubbub.presence.memory import MemoryPresence
from hubbub.presence.redis.presence import ROUND_TASK, RedisPresence
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import UPDATE, read_update
from hubbub.redis.shard import Timing
from hubbub.testing import ManualClock
from tests.fakes import FakeSocket
from tests.valkey import Clients

AWAY, OFFLINE, TICK = 300.0, 3.0, 1.0
START = 1_700_000_000.0

MARKER = "server.test.marker"


class Watcher:
    """A socket that watches users, and the changes it has received, each with its version."""

    def __init__(self, node: Node, socket: FakeSocket, snapshot: list[Presence]) -> None:
        self._node = node
        self._socket = socket
        self.snapshot = snapshot
        self.heard: list[tuple[Presence, int]] = []

    async def changes(self) -> list[Presence]:
        """Return the changes since the last call, after everything published so far has arrived."""
        await self._node.arrived()
        heard, self.heard = self.heard, []
        return [presence for presence, _ in heard]

    async def statuses(self) -> list[str]:
        """Return the statuses of the changes since the last call."""
        return [presence.status for presence in await self.changes()]

    def leave(self) -> None:
        """Stop watching."""
        self._node.hub.unregister(self._socket)
        del self._node.watchers[self._socket]


class Node:
    """One process."""

    _ids = itertools.count()

    def __init__(self, clock: ManualClock, stats: Stats) -> None:
        self.clock = clock
        self.stats = stats
        self.hub: Hub[Any] = Hub()
        self.left: list[Mapping[str, float]] = []
        self.watchers: dict[FakeSocket, Watcher] = {}
        self._markers: dict[str, asyncio.Future[None]] = {}
        self._rounds: set[asyncio.Task[Any]] = set()

    async def start(self, broker: Broker, presence: PresenceStore) -> None:
        self.broker, self.presence = broker, presence
        self.interests = Interests(broker, self.hub, presence.forget)
        await broker.start(self._deliver, presence.on_loss)
        await presence.start(self)

    # --- PresenceOutput -----------------------------------------------------------------------------------------------

    def publish(self, updates: Iterable[Publication]) -> None:
        for update in updates:
            self.broker.publish(update)

    def deliver(self, update: Publication) -> None:
        self._deliver(update, None)

    def on_offline(self, last_seen: Mapping[str, float]) -> None:
        self.left.append(last_seen)

    def has_listeners(self, interest: Interest) -> bool:
        return self.hub.has_listeners(interest)

    # --- for tests ----------------------------------------------------------------------------------------------------

    def connect(self, *users: str) -> None:
        for user in users:
            self.presence.connect(user)

    def disconnect(self, *users: str) -> None:
        for user in users:
            self.presence.disconnect(user)

    async def watch(self, *users: str) -> Watcher:
        """Subscribe a new socket to users, and read the snapshot as the gateway does."""
        topics = [Topic("user", user) for user in users]
        waiting = self.interests.hold(topics)
        if waiting is not None:
            await waiting
        socket = FakeSocket(f"watcher-{next(self._ids)}", f"s{next(self._ids)}")
        self.hub.register(socket)
        self.hub.replace(socket, topics)
        self.interests.release(topics)
        watcher = self.watchers[socket] = Watcher(self, socket, [])
        watcher.snapshot = await self.presence.announced(users)
        return watcher

    async def status(self, user: str) -> str:
        """Return the announced status of a user."""
        (presence,) = await self.presence.announced([user])
        return presence.status

    def tick(self) -> None:
        before = asyncio.all_tasks()
        self.presence.tick()
        self.presence.start_round()
        self._rounds |= {task for task in asyncio.all_tasks() - before if task.get_name() == ROUND_TASK}

    async def idle(self) -> None:
        """Wait until no round of this node is in progress."""
        if self._rounds:
            await asyncio.wait(self._rounds)
        self._rounds.clear()

    async def until_ready(self) -> None:
        """Wait until the broker delivers publications again."""
        async with asyncio.timeout(30):
            while not self.broker.ready:
                await asyncio.sleep(0.01)

    async def arrived(self) -> None:
        """Wait until everything published so far to watched topics has arrived.

        A channel keeps its order, so a marker arrives last.
        """
        topics = dict.fromkeys(topic for socket in self.watchers for topic in socket.subscriptions)
        loop = asyncio.get_running_loop()
        markers = {topic: (secrets.token_hex(8), loop.create_future()) for topic in topics}
        self._markers = dict(markers.values())
        async with asyncio.timeout(30):
            while waiting := {topic: name for topic, (name, future) in markers.items() if not future.done()}:
                await self.until_ready()
                for topic, name in waiting.items():
                    self.broker.publish(Publication(MARKER, b"", (topic,), (), metadata=name.encode()))
                # A marker can be lost when a connection fails. Publish it again after a second.
                await asyncio.wait([future for _, future in markers.values()], timeout=1)

    def _deliver(self, publication: Publication, matched: Interest | None) -> None:
        if publication.type == MARKER:
            future = self._markers.get(publication.metadata.decode())
            if future is not None and not future.done():
                future.set_result(None)
        elif publication.type == UPDATE and self.presence.observe(publication):
            for socket in list(self.hub.audience(publication.topics, publication.users, None, matched)):
                if socket in self.watchers:
                    self.watchers[socket].heard.append(read_update(publication))


class System:
    """Any number of nodes on one clock."""

    def __init__(self, url: str | None, prefix: str, **options: Any) -> None:
        self.url = url
        self.prefix = prefix
        self.clock = ManualClock(START)
        self.nodes: list[Node] = []
        self._dead: list[Node] = []
        self._options = options

    @cached_property
    def clients(self) -> Clients:
        """Return plain clients for the tests, separate from the nodes."""
        assert self.url is not None
        return Clients(self.url)

    @property
    def grace(self) -> float:
        """Return the seconds without a socket after which a user is announced offline."""
        return OFFLINE if self.url is None else OFFLINE + TICK

    async def node(self, url: str | None = None) -> Node:
        """Start a node."""
        if self.url is None and self.nodes:
            return self.nodes[0]
        node = Node(self.clock, Stats())
        if self.url is None:
            await node.start(MemoryBroker(), MemoryPresence(self.clock, away_after=AWAY, offline_after=OFFLINE))
        else:
            await node.start(*self._shared(url or self.url, node))
        self.nodes.append(node)
        return node

    async def tick(self, times: int = 1) -> None:
        """Run a number of one-second ticks on every node."""
        for _ in range(times):
            self.clock.advance(TICK)
            for node in self.nodes:
                node.tick()
            for node in self.nodes:
                await node.idle()

    def kill(self, node: Node) -> None:
        """Remove a node as `kill -9` does: it sends nothing more."""
        if node in self.nodes:
            self.nodes.remove(node)
        self._dead.append(node)

    async def stop(self) -> None:
        for node in self.nodes:
            await node.presence.stop()
            await node.broker.stop()
        for node in self._dead:
            assert isinstance(node.presence, RedisPresence)
            await node.broker.stop()  # first: it reports gaps to presence, which then reads again
            await node.presence.close()
        if "clients" in vars(self):
            self.clients.close()

    def _shared(self, url: str, node: Node) -> tuple[Broker, PresenceStore]:
        timing = Timing(probe=1.0, silence=5.0, connect=2.0)
        return (
            RedisBroker(url, stats=node.stats, prefix=self.prefix, timing=timing),
            RedisPresence(
                url,
                clock=self.clock,
                stats=node.stats,
                away_after=AWAY,
                offline_after=OFFLINE,
                tick=TICK,
                prefix=self.prefix,
                **self._options,
            ),
        )


@contextlib.asynccontextmanager
async def redis_system(url: str, **options: Any) -> AsyncIterator[System]:
    """Yield a system on Redis, under its own prefix."""
    system = System(url, f"test-{secrets.token_hex(4)}", **options)
    try:
        yield system
    finally:
        await system.stop()


@contextlib.asynccontextmanager
async def memory_system() -> AsyncIterator[System]:
    """Yield a system of one node with a memory store."""
    system = System(None, "")
    try:
        yield system
    finally:
        await system.stop()
