"""Three real server processes act as one bus."""

from __future__ import annotations

import pytest

from tests.cluster.nodes import Nodes

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_event_reaches_listeners_on_every_node_once(nodes: Nodes) -> None:
    async with (
        nodes[0].open("alice", "conversation:c1") as alice,
        nodes[1].open("bob", "conversation:c1") as bob,
        nodes[2].open("carol", "conversation:c2") as carol,
        nodes[2].open("alice") as alices_phone,
    ):
        await nodes[1].post("/messages/c1/m1", sender="alice")
        await nodes[1].post("/messages/c2/m2", sender="carol")

        for socket in (alice, bob, alices_phone):
            assert (await socket.expect("server.messenger.message_new"))["messageId"] == "m1"
        assert (await carol.expect("server.messenger.message_new"))["messageId"] == "m2"
        for socket in (alice, bob, carol, alices_phone):
            assert await socket.heard() == []


async def test_a_burst_keeps_the_order_of_publishing(nodes: Nodes) -> None:
    async with nodes[0].open("alice", "conversation:burst") as alice, nodes[2].open("bob", "conversation:burst") as bob:
        await nodes[1].post("/burst/burst/1000")

        for socket in (alice, bob):
            numbers = [(await socket.expect("server.messenger.message_new"))["messageId"] for _ in range(1000)]
            assert numbers == [str(number) for number in range(1000)]


async def test_typing_reaches_other_nodes_and_not_the_sender(nodes: Nodes) -> None:
    async with nodes[0].open("alice", "conversation:c3") as alice, nodes[1].open("bob", "conversation:c3") as bob:
        await alice.typing("c3")

        assert (await bob.expect("client.messenger.typing"))["userId"] == "alice"
        assert await alice.heard() == []


async def test_publishing_returns_its_outcome(nodes: Nodes) -> None:
    assert await nodes[0].post("/waited/c1/m1") == "accepted"
