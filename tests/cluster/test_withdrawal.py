"""Withdrawing access takes effect on every node."""

from __future__ import annotations

import pytest

from tests.cluster.nodes import Nodes

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_user_is_disconnected_everywhere(nodes: Nodes) -> None:
    async with (
        nodes[0].open("alice") as here,
        nodes[1].open("alice") as there,
        nodes[2].open("alice/phone") as phone,
        nodes[2].open("bob") as bob,
    ):
        assert await nodes[1].post("/disconnect/alice") == "accepted"

        for socket in (here, there, phone):
            assert (await socket.closed())[0] == 4403
        assert await bob.heard() == []


async def test_one_session_is_disconnected_everywhere(nodes: Nodes) -> None:
    async with nodes[0].open("alice/laptop") as laptop, nodes[2].open("alice/phone") as phone:
        await nodes[1].post("/disconnect/alice", session="phone")

        assert (await phone.closed())[0] == 4403
        assert await laptop.heard() == []


async def test_a_topic_is_revoked_everywhere(nodes: Nodes) -> None:
    async with (
        nodes[0].open("alice", "conversation:c1") as here,
        nodes[2].open("alice", "conversation:c1", "conversation:c2") as there,
        nodes[2].open("bob", "conversation:c1") as bob,
    ):
        assert await nodes[1].post("/revoke/alice/c1") == "accepted"
        await nodes[1].post("/messages/c1/m1")

        c1 = {"kind": "conversation", "id": "c1"}
        c2 = {"kind": "conversation", "id": "c2"}
        assert await here.expect("server.system.subscribed") == {"topics": [], "refused": [c1]}
        assert await there.expect("server.system.subscribed") == {"topics": [c2], "refused": [c1]}
        assert (await bob.expect("server.messenger.message_new"))["messageId"] == "m1"
        assert await here.heard() == []
        assert await there.heard() == []


async def test_a_withdrawal_while_redis_is_unreachable_is_sent_afterwards(nodes: Nodes) -> None:
    async with nodes[0].open("alice") as here, nodes[2].open("alice") as there:
        await nodes[1].proxy.cut()
        await nodes[1].until_ready(False)
        assert await nodes[1].post("/disconnect/alice") == "dropped"
        await nodes[1].proxy.restore()

        for socket in (here, there):
            assert (await socket.closed())[0] == 4403


async def test_a_node_that_was_cut_off_applies_withdrawals_when_it_is_back(nodes: Nodes) -> None:
    async with (
        nodes[0].open("alice") as here,
        nodes[2].open("alice") as there,
        nodes[2].open("bob", "conversation:c1") as bob,
    ):
        await nodes[2].proxy.cut()
        await nodes[2].until_ready(False)
        assert await nodes[1].post("/disconnect/alice") == "accepted"
        assert await nodes[1].post("/revoke/bob/c1") == "accepted"
        assert (await here.closed())[0] == 4403
        await nodes[2].proxy.restore()

        assert (await there.closed())[0] == 4403
        _, left = await bob.until("server.system.subscribed")
        assert left["topics"] == []
