"""Presence over real processes: nodes are killed and frozen, Redis is emptied and cut off, and presence recovers.

These tests use shorter leases than production; `-m soak` runs them with the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
import redis.asyncio

from hubbub.presence.redis.lease import LEASE_SECONDS
from tests.cluster.nodes import Node, Nodes
from tests.support import Client
from tests.valkey import run_valkey
from tests.websocket import RawSocket

pytestmark = pytest.mark.asyncio(loop_scope="package")

UPDATE = "server.presence.update"
PER_WATCHER = 500
"""Users that one socket watches: fewer than the limit of topics."""


@dataclass
class Speed:
    """The seconds of a lease, and the time limits that follow from it."""

    lease: float
    gone: float  # from the death of a node to the offline updates
    quiet: float  # from the death of a node: no other update may arrive by then
    is_steady: float = 5.5  # after this time a node may reap others

    @property
    def variables(self) -> dict[str, str]:
        return {"HUBBUB_TEST_QUICK": "1", "HUBBUB_TEST_LEASE": str(self.lease)}


QUICK = Speed(lease=3.0, gone=12.0, quiet=12.0)
REAL = Speed(lease=LEASE_SECONDS, gone=20.0, quiet=60.0)


class System:
    """Three nodes on their own Redis that have been up for a while."""

    def __init__(self, nodes: Nodes, client: Any, speed: Speed) -> None:
        self.nodes = nodes
        self.client = client
        self.speed = speed

    async def keys(self, part: str) -> list[str]:
        """Return the keys whose name contains `part`."""
        return [key.decode() for key in await self.client.keys(f"*{part}*")]

    async def incarnations(self) -> set[str]:
        """Return the incarnations that have a lease or have not been reaped yet."""
        (key,) = await self.client.keys("*:nodes")
        return {name.decode() for name in await self.client.zrange(key, 0, -1)}


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="package",
    params=[pytest.param(QUICK, id="quick"), pytest.param(REAL, id="real", marks=pytest.mark.soak)],
)
async def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    speed: Speed = request.param
    with run_valkey() as server:
        async with (
            Nodes.on(tmp_path_factory.mktemp("nodes"), server.port, 3, **speed.variables) as nodes,
            redis.asyncio.Redis(port=server.port) as client,
        ):
            await asyncio.sleep(speed.is_steady)  # the nodes wait for this time to pass
            yield System(nodes, client, speed)


class Watcher:
    """Sockets on one node that watch users, and the updates they receive."""

    def __init__(self, users: Iterable[str], clients: list[Client]) -> None:
        self._users = set(users)
        self.heard: dict[str, list[str]] = {}
        self.tasks = [asyncio.create_task(self._listen(client)) for client in clients]
        self._changed = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, node: Node, users: list[str]) -> AsyncIterator[Watcher]:
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for first in range(0, len(users), PER_WATCHER):
                client = await stack.enter_async_context(Client.open(node.address, f"watcher-{node.name}"))
                await client.request_topics(*(f"user:{user}" for user in users[first : first + PER_WATCHER]))
                while (await client.receive())["type"] != "server.presence.batch":
                    pass  # updates about the watcher itself arrive at any time
                clients.append(client)
            watcher = cls(users, clients)
            try:
                yield watcher
            finally:
                for task in watcher.tasks:
                    task.cancel()
                await asyncio.wait(watcher.tasks)

    async def _listen(self, client: Client) -> None:
        while True:
            event = await client.receive()
            change = event["data"]
            if event["type"] == UPDATE and change["userId"] in self._users:
                self.heard.setdefault(change["userId"], []).append(change["status"])
            self._changed.set()

    async def until(self, status: str, users: Iterable[str], seconds: float) -> float:
        """Wait until the last update of each user has this status. Return the seconds it took."""
        began = time.monotonic()
        waiting = set(users)
        try:
            async with asyncio.timeout(seconds):
                while waiting := {user for user in waiting if self.heard.get(user, [""])[-1] != status}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{len(waiting)} users were not {status} within {seconds} s: {waiting}") from None
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def sockets(node: Node, users: Iterable[str]) -> AsyncIterator[None]:
    """Open a socket per user, one after another. They are never read."""
    async with contextlib.AsyncExitStack() as stack:
        for user in users:
            await stack.enter_async_context(RawSocket.open(node.address, user))
        yield


async def statuses(node: Node, users: Iterable[str]) -> dict[str, str]:
    return {user: (await node.get(f"/presence/{user}"))["status"] for user in users}


async def test_one_user_on_three_nodes(system: System) -> None:
    nodes = system.nodes
    async with contextlib.AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Watcher.on(nodes[0], ["alice"]))
        alice = [await stack.enter_async_context(contextlib.AsyncExitStack()) for _ in nodes]
        for node, one in zip(nodes, alice, strict=True):
            await one.enter_async_context(sockets(node, ["alice"]))
        await watcher.until("online", ["alice"], 5)
        await alice[0].aclose()
        await alice[1].aclose()
        await asyncio.sleep(5.5)  # longer than offline takes
        assert watcher.heard == {"alice": ["online"]}

        await alice[2].aclose()
        await watcher.until("offline", ["alice"], 7)
        await asyncio.sleep(1.5)  # another node's tick

        assert watcher.heard == {"alice": ["online", "offline"]}


async def test_redis_is_emptied(system: System) -> None:
    users = [f"emptied-{number}" for number in range(200)]
    async with contextlib.AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Watcher.on(system.nodes[0], users))
        for number, node in enumerate(system.nodes):
            await stack.enter_async_context(sockets(node, users[number::3]))
        await watcher.until("online", users, 10)

        await system.client.flushall()
        async with asyncio.timeout(10):
            while len(await system.keys(":p:emptied-")) < len(users):
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)  # any wrong update would arrive by now

        assert watcher.heard == {user: ["online"] for user in users}
        for node in system.nodes:
            assert set((await statuses(node, users[::20])).values()) == {"online"}


async def test_a_node_is_frozen_past_its_lease_and_comes_back(system: System, tell: Callable[[str], None]) -> None:
    users = [f"frozen-{number}" for number in range(50)]
    async with contextlib.AsyncExitStack() as stack:
        frozen, *others = system.nodes
        before = await system.incarnations()
        watcher = await stack.enter_async_context(Watcher.on(others[0], users))
        await stack.enter_async_context(sockets(frozen, users))
        await watcher.until("online", users, 10)

        frozen.signal(signal.SIGSTOP)
        try:
            await watcher.until("offline", users, system.speed.gone)
        finally:
            frozen.signal(signal.SIGCONT)
        tell(f"converged {await watcher.until('online', users, 10):.1f} s after it was thawed")

        assert watcher.heard == {user: ["online", "offline", "online"] for user in users}
        (former,) = before - await system.incarnations()
        for key in await system.keys(":p:frozen-"):
            assert await system.client.hget(key, f"n:{former}") is None
        for node in system.nodes:
            assert set((await statuses(node, users[:5])).values()) == {"online"}


async def test_redis_is_unreachable_for_longer_than_a_lease(system: System) -> None:
    staying, leaving = [[f"{what}-{number}" for number in range(30)] for what in ("staying", "leaving")]
    async with contextlib.AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(Watcher.on(system.nodes[0], staying + leaving))
        leavers = await stack.enter_async_context(contextlib.AsyncExitStack())
        for number, node in enumerate(system.nodes):
            await stack.enter_async_context(sockets(node, staying[number::3]))
            await leavers.enter_async_context(sockets(node, leaving[number::3]))
        await watcher.until("online", staying + leaving, 10)

        for node in system.nodes:
            await node.proxy.cut()
        await leavers.aclose()
        await asyncio.sleep(system.speed.lease + 1)  # the length of the outage is what is tested
        for node in system.nodes:
            await node.proxy.restore()
        await watcher.until("offline", leaving, 15)
        await asyncio.sleep(system.speed.is_steady + 2)  # by then the nodes' former incarnations have been reaped

        assert {user: watcher.heard.pop(user) for user in leaving} == {user: ["online", "offline"] for user in leaving}
        assert watcher.heard == {user: ["online"] for user in staying}


@pytest.mark.parametrize("count", [1000, pytest.param(5000, marks=pytest.mark.soak)])
async def test_a_node_is_killed(system: System, count: int, tell: Callable[[str], None]) -> None:
    users = [f"killed-{count}-{number}" for number in range(count)]
    elsewhere = users[:: count // 100]  # a hundred have a second socket on another node
    only_here = sorted(set(users) - set(elsewhere))
    dying, *survivors = system.nodes
    async with contextlib.AsyncExitStack() as stack:
        before = await system.incarnations()
        watchers = [await stack.enter_async_context(Watcher.on(node, users)) for node in survivors]
        await stack.enter_async_context(sockets(dying, users))
        for user in elsewhere:  # real clients answer pings, so these sockets stay open
            await stack.enter_async_context(Client.open(survivors[0].address, user))
        for watcher in watchers:
            await watcher.until("online", users, 30)
            assert watcher.heard == {user: ["online"] for user in users}
            watcher.heard.clear()

        began = time.monotonic()
        await dying.kill()
        stack.push_async_callback(dying.start)  # for the next test
        for watcher in watchers:
            await watcher.until("offline", only_here, began + system.speed.gone - time.monotonic())
        tell(f"{len(only_here)} users offline {time.monotonic() - began:.1f} s after their node was killed")
        await asyncio.sleep(began + system.speed.quiet - time.monotonic())  # any wrong update would arrive by now

        for watcher in watchers:
            assert watcher.heard == {user: ["offline"] for user in only_here}
        (dead,) = before - await system.incarnations()
        assert all(f":x:{dead}" in key for key in await system.keys(dead))
        expected = dict.fromkeys(elsewhere[:3], "online") | dict.fromkeys(only_here[:3], "offline")
        for node in survivors:
            assert await statuses(node, expected) == expected
