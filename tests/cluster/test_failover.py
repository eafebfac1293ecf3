"""A primary of a Cluster dies under three nodes: its replica takes over, and all nodes recover."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubbub.contract.topics import Topic
from hubbub.redis.channels import bucket_of, slot_of
from tests.cluster.nodes import ClientWithoutPresence, Nodes
from tests.cluster.test_faults import MESSAGE, RESYNC
from tests.cluster.test_presence_faults import QUICK, Watcher, sockets, statuses
from tests.valkey import SLOTS, run_cluster, with_replica

pytestmark = pytest.mark.asyncio(loop_scope="package")

SHARDS = 3
CONVERSATIONS = [f"c{number}" for number in range(12)]


def shard_of(conversation: str) -> int:
    return slot_of(bucket_of(Topic("conversation", conversation))) * SHARDS // SLOTS


async def resynced(socket: ClientWithoutPresence, conversations: set[str]) -> None:
    """Wait until a socket has received a resync for all of these conversations."""
    while conversations:
        _, resync = await socket.until(RESYNC)
        conversations = conversations - {topic["id"] for topic in resync["topics"]}


async def test_a_primary_dies(tmp_path: Path, tell: Callable[[str], None]) -> None:
    staying, leaving = [[f"{what}-{number}" for number in range(60)] for what in ("staying", "leaving")]
    topics = [f"conversation:{conversation}" for conversation in CONVERSATIONS]
    lost = {conversation for conversation in CONVERSATIONS if not shard_of(conversation)}
    assert 0 < len(lost) < len(CONVERSATIONS)
    with run_cluster(SHARDS) as servers, with_replica(servers):
        async with (
            Nodes.on(tmp_path, servers[1].port or 0, HUBBUB_TEST_QUICK="1") as nodes,
            contextlib.AsyncExitStack() as stack,
        ):
            await asyncio.sleep(QUICK.is_steady)  # the nodes wait for this time to pass
            watcher = await stack.enter_async_context(Watcher.on(nodes[0], staying + leaving))
            leavers = await stack.enter_async_context(contextlib.AsyncExitStack())
            for number, node in enumerate(nodes):
                await stack.enter_async_context(sockets(node, staying[number::3]))
                await leavers.enter_async_context(sockets(node, leaving[number::3]))
            listeners = [await stack.enter_async_context(node.open(f"user{node.name}", *topics)) for node in nodes]
            await watcher.until("online", staying + leaving, 10)

            began = time.monotonic()
            servers[0].terminate()
            for node in nodes:
                await node.until_ready(False)
            assert await nodes[0].post(f"/waited/{min(lost)}/lost") == "dropped"
            for node in nodes:
                await node.until_ready(seconds=30)
            for socket in listeners:
                await resynced(socket, lost)
            tell(f"ready, and all sockets resynced, {time.monotonic() - began:.1f} s after the primary had died")

            for conversation in CONVERSATIONS:
                await nodes[1].post(f"/messages/{conversation}/after")
            for socket in listeners:
                heard = {(await socket.until(MESSAGE))[1]["conversationId"] for _ in CONVERSATIONS}
                assert heard == set(CONVERSATIONS)

            await leavers.aclose()
            await watcher.until("offline", leaving, 20)
            gone = {user: watcher.heard.pop(user) for user in leaving}
            assert gone == {user: ["online", "offline"] for user in leaving}
            assert watcher.heard == {user: ["online"] for user in staying}
            expected = dict.fromkeys(staying, "online") | dict.fromkeys(leaving, "offline")
            for node in nodes:
                assert await statuses(node, expected) == expected
                assert set((await node.get("/stats"))["closes"]) <= {"1000", "1006"}  # only closes by the tests
            tell(f"presence agreed {time.monotonic() - began:.1f} s after the primary had died")
            assert time.monotonic() - began < 60
