"""Redis fails in every way it can. No socket closes, and no event is lost without a resync.

These tests use shorter intervals than production; `-m soak` runs them with the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from tests.cluster.nodes import ClientWithoutPresence, Nodes

pytestmark = pytest.mark.asyncio(loop_scope="package")

TOPIC = "conversation:c1"
MESSAGE = "server.messenger.message_new"
RESYNC = "server.system.resync"


@contextlib.asynccontextmanager
async def listeners(nodes: Nodes) -> AsyncIterator[list[ClientWithoutPresence]]:
    """Open a socket per node on the same topic."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node.open(f"user{node.name}", TOPIC)) for node in nodes]


async def publish_until_delivered(nodes: Nodes, sockets: list[ClientWithoutPresence], id: str) -> None:
    """Publish on every node, and wait until each socket has received the event of each node."""
    for number, node in enumerate(nodes):
        await node.post(f"/messages/c1/{id}-{number}")
    for socket in sockets:
        expected = {f"{id}-{number}" for number in range(len(nodes))}
        while expected:
            expected.discard((await socket.until(MESSAGE))[1]["messageId"])


# A test with this mark also runs with the intervals of production. conftest.py starts the nodes with them.
with_real_intervals = pytest.mark.parametrize("intervals", ["short", pytest.param("real", marks=pytest.mark.soak)])


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.soak)])
async def test_redis_is_unreachable_and_comes_back(nodes: Nodes, seconds: float, tell: Callable[[str], None]) -> None:
    async with listeners(nodes) as sockets:
        for node in nodes:
            await node.proxy.cut()
        for node in nodes:
            await node.until_ready(False)
        assert await nodes[0].post("/waited/c1/lost") == "dropped"
        await asyncio.sleep(seconds)  # the length of the outage is what is tested
        for node in nodes:
            await node.proxy.restore()
        began = time.monotonic()
        for node in nodes:
            await node.until_ready()

        for socket in sockets:
            before, resync = await socket.until(RESYNC)
            assert before == []
            assert {"kind": "conversation", "id": "c1"} in resync["topics"]
        await publish_until_delivered(nodes, sockets, "after")
        took = time.monotonic() - began
        tell(f"resync and delivery {took:.1f} s after Redis was back")
        assert took < 5


async def test_users_connect_and_subscribe_while_redis_is_unreachable(nodes: Nodes) -> None:
    for node in nodes:
        await node.proxy.cut()
        await node.until_ready(False)
    async with listeners(nodes) as sockets:
        for node in nodes:
            await node.proxy.restore()
        for node in nodes:
            await node.until_ready()
        for socket in sockets:
            await socket.until(RESYNC)
        await publish_until_delivered(nodes, sockets, "after")


async def test_one_node_is_cut_off(nodes: Nodes) -> None:
    async with listeners(nodes) as sockets:
        await nodes[2].proxy.cut()
        await nodes[2].until_ready(False)
        await nodes[0].post("/messages/c1/unheard")
        await nodes[2].post("/messages/c1/unsaid")
        assert (await sockets[0].expect(MESSAGE))["messageId"] == "unheard"
        await nodes[2].proxy.restore()

        for socket in sockets:  # the others need a resync for what the cut-off node could not publish
            await socket.until(RESYNC)
        await publish_until_delivered(nodes, sockets, "after")


@with_real_intervals
async def test_pub_sub_answers_but_no_longer_delivers(
    nodes: Nodes, intervals: str, tell: Callable[[str], None]
) -> None:
    async with listeners(nodes) as sockets:
        nodes[1].proxy.drops_pushes = True
        assert await nodes[0].post("/waited/c1/dropped") == "accepted"
        took = await nodes[1].until_ready(False)
        tell(f"unready after {took:.1f} s")
        assert took < 15
        nodes[1].proxy.drops_pushes = False
        await nodes[1].until_ready()

        before, _ = await sockets[1].until(RESYNC)
        assert before == []
        await publish_until_delivered(nodes, sockets, "after")


@with_real_intervals
async def test_redis_hangs(nodes: Nodes, intervals: str) -> None:
    async with listeners(nodes) as sockets:
        for node in nodes:
            node.proxy.hold()
        began = time.monotonic()
        assert await nodes[0].post("/waited/c1/held") == "unknown"
        assert time.monotonic() - began < 2
        for node in nodes:
            await node.until_ready(False)
            await node.proxy.restore()
        for node in nodes:
            await node.until_ready()
        for socket in sockets:
            await socket.until(RESYNC)
        await publish_until_delivered(nodes, sockets, "after")


@with_real_intervals
async def test_a_resync_follows_every_gap_when_connections_are_killed_under_load(
    nodes: Nodes, valkey_port: int, intervals: str
) -> None:
    """At a thousand events a second, a resync follows whatever a socket misses."""
    async with (
        listeners(nodes) as sockets,
        redis.asyncio.Redis(port=valkey_port) as client,
    ):
        readers = [asyncio.create_task(received_until_the_end(socket)) for socket in sockets]
        count, pause = 3000, 0.05
        for start in range(0, count, 50):
            await nodes[start // 50 % 3].post("/range/c1", first=str(start), last=str(start + 50))
            if start in (500, 1500, 2500):
                await client.client_kill_filter(_type="pubsub" if start == 1500 else "normal", skipme=True)
            await asyncio.sleep(pause)  # the rate is what is tested
        for node in nodes:
            await node.until_ready()
        await nodes[0].post("/messages/c1/end")

        for socket, events in zip(sockets, await asyncio.gather(*readers), strict=True):
            last_resync = max((index for index, number in enumerate(events) if number is None), default=-1)
            missed = set(range(count)).difference(events)
            heard_since = [number for number in events[last_resync + 1 :] if number is not None]
            if missed and (last_resync < 0 or min(heard_since, default=count) < max(missed)):
                await socket.until(RESYNC, seconds=5.0)


async def received_until_the_end(socket: ClientWithoutPresence) -> list[int | None]:
    """Return the numbers of messages in the order of arrival, and None for each resync."""
    events: list[int | None] = []
    while True:
        event = await socket.receive()
        if event["type"] == RESYNC:
            events.append(None)
        elif event["type"] == MESSAGE:
            if event["data"]["messageId"] == "end":
                return events
            events.append(int(event["data"]["messageId"]))
