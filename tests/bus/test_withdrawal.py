"""Access that the app withdraws: a session's sockets or one topic, also while a subscribe is in progress."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from hubbub import Context, Domain, Gateway, MessageNew, Outcome, PresenceUpdate, ServerEvent, Topic, notify
from tests.support import Client, make_gateway, running, types

C = Topic("conversation", "c")


def message(conversation_id: str) -> MessageNew:
    return MessageNew(conversation_id, "m", "somebody", "")


async def test_after_a_revocation_events_of_the_topic_stop_and_others_arrive() -> None:
    gateway = make_gateway()
    async with running(gateway) as server:
        alice = Client.open(server, "alice", "conversation:c", "conversation:d")
        async with alice as first, Client.open(server, "alice", "conversation:c") as second:
            notify(message("c"))

            assert await gateway.revoke("alice", C) is Outcome.ACCEPTED
            notify(message("c"))
            notify(message("d"))

            heard = await first.heard()
            assert types(heard) == [
                "server.messenger.message_new",
                "server.system.subscribed",
                "server.messenger.message_new",
            ]
            assert heard[0]["data"]["conversationId"] == "c"
            assert heard[1]["data"] == {
                "topics": [{"kind": "conversation", "id": "d"}],
                "refused": [{"kind": "conversation", "id": "c"}],
            }
            assert heard[2]["data"]["conversationId"] == "d"
            assert types(await second.heard()) == ["server.messenger.message_new", "server.system.subscribed"]


async def test_a_revocation_does_not_affect_other_users_or_sockets_without_the_topic() -> None:
    gateway = make_gateway()
    async with (
        running(gateway) as server,
        Client.open(server, "alice", "conversation:d") as alice,
        Client.open(server, "bob", "conversation:c") as bob,
    ):
        await gateway.revoke("alice", C)
        notify(message("c"))

        assert await alice.heard() == []
        assert types(await bob.heard()) == ["server.messenger.message_new"]


class SlowAuthorize:
    """An authorize that waits after its decision, which may be out of date when it returns."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.may_return = asyncio.Event()

    async def __call__(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
        self.called.set()
        await self.may_return.wait()
        return topics


async def test_a_revocation_during_a_subscribe_refuses_the_topic() -> None:
    authorize = SlowAuthorize()
    gateway = make_gateway(authorize=authorize)
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        await alice.request_topics("conversation:c", "conversation:d")
        await authorize.called.wait()

        await gateway.revoke("alice", C)
        authorize.may_return.set()

        assert await alice.expect("server.system.subscribed") == {
            "topics": [{"kind": "conversation", "id": "d"}],
            "refused": [{"kind": "conversation", "id": "c"}],
        }
        assert (await alice.expect("server.system.error"))["code"] == "topic_forbidden"
        notify(message("c"))
        assert await alice.heard() == []


async def test_a_revocation_does_not_affect_later_subscribes() -> None:
    gateway = make_gateway()
    async with running(gateway) as server, Client.open(server, "alice", "conversation:c") as alice:
        await gateway.revoke("alice", C)
        await alice.expect("server.system.subscribed")

        answer = await alice.subscribe("conversation:c")  # the app allows it again

        assert answer["refused"] == []
        notify(message("c"))
        assert types(await alice.heard()) == ["server.messenger.message_new"]


class SlowSnapshots(Domain):
    """A domain that waits before it returns its snapshot."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Topic]] = []
        self.called = asyncio.Event()
        self.may_return = asyncio.Event()

    async def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        self.asked.append(topics)
        self.called.set()
        await self.may_return.wait()
        return [PresenceUpdate(topic.id, "online") for topic in topics]


async def test_a_snapshot_leaves_out_a_topic_that_was_revoked_while_it_was_prepared() -> None:
    domain = SlowSnapshots()
    gateway = make_gateway(domains=[domain])
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        await alice.subscribe("user:bob", "user:carol")
        await domain.called.wait()

        await gateway.revoke("alice", Topic("user", "bob"))
        domain.may_return.set()

        await alice.expect("server.presence.batch")
        assert (await alice.expect("server.system.subscribed"))["topics"] == [{"kind": "user", "id": "carol"}]
        assert await alice.expect("server.presence.update") == {"userId": "carol", "status": "online"}
        assert await alice.heard() == []
        assert domain.asked[-1] == [Topic("user", "carol")]


async def test_disconnecting_closes_the_sockets_of_a_session_with_4403() -> None:
    gateway = make_gateway()
    async with running(gateway) as server:
        phone, laptop = Client.open(server, "alice/phone"), Client.open(server, "alice/laptop")
        async with phone as lost, laptop as kept:
            assert await gateway.disconnect("alice", session="phone") is Outcome.ACCEPTED

            assert await lost.closed() == (4403, "access withdrawn")
            assert await kept.heard() == []


@pytest.mark.parametrize("withdraw", ["disconnect", "revoke"])
async def test_withdrawing_access_on_a_stopped_gateway_raises(withdraw: str) -> None:
    gateway: Gateway = make_gateway()
    if withdraw == "disconnect":
        assert await gateway.disconnect("alice") is Outcome.DROPPED
    else:
        assert await gateway.revoke("alice", C) is Outcome.DROPPED
