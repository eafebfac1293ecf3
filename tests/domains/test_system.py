"""Subscribing: failures in the app's own code, and the interest that a broker gets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence

import pytest

from hubbub import Context, Domain, MessageNew, ServerEvent, Topic, notify
from hubbub.brokers.memory import MemoryBroker
from hubbub.bus.event_bus import EventBus
from hubbub.bus.hub import Hub
from hubbub.bus.interests import Interests
from hubbub.bus.write_batcher import WriteBatcher
from hubbub.contract.events import MESSENGER_EVENTS
from hubbub.contract.registry import Contract
from hubbub.contract.topics import Interest
from hubbub.metrics.stats import Stats
from tests.fakes import FakeLoop, FakeSocket
from tests.support import Client, make_gateway, running, types


async def test_if_authorize_raises_the_subscriptions_stay_and_the_client_gets_an_error() -> None:
    fails = False

    async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
        if fails:
            raise RuntimeError("no database")
        return topics

    gateway = make_gateway(authorize=authorize)
    async with running(gateway) as server, Client.open(server, "bob", "conversation:old") as bob:
        fails = True
        await bob.request_topics("conversation:new")
        error = await bob.expect("server.system.error")
        assert error["code"] == "internal"
        notify(MessageNew("old", "m", "alice", ""))
        notify(MessageNew("new", "m", "alice", ""))

        assert [event["data"]["conversationId"] for event in await bob.heard()] == ["old"]


async def test_authorize_may_be_a_plain_function() -> None:
    gateway = make_gateway(authorize=lambda ctx, topics: [topic for topic in topics if topic.id == "mine"])
    async with running(gateway) as server, Client.open(server, "bob") as bob:
        answer = await bob.subscribe("conversation:mine", "conversation:others")

        assert [topic["id"] for topic in answer["topics"]] == ["mine"]


async def test_without_authorize_every_topic_is_refused() -> None:
    from hubbub.domains.system import refuse_all

    async with running(make_gateway(authorize=refuse_all)) as server, Client.open(server, "bob") as bob:
        answer = await bob.subscribe("conversation:c1", "user:bob")

        assert answer["topics"] == []
        assert len(answer["refused"]) == 2


async def test_authorize_is_called_once_per_subscribe_and_cannot_add_topics() -> None:
    asked: list[list[str]] = []

    async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
        asked.append([str(topic) for topic in topics])
        return [*topics, Topic("conversation", "extra")]

    async with running(make_gateway(authorize=authorize)) as server, Client.open(server, "bob") as bob:
        answer = await bob.subscribe("conversation:c1", "conversation:c2", "conversation:c1")

        assert [topic["id"] for topic in answer["topics"]] == ["c1", "c2"]
        assert asked == [["conversation:c1", "conversation:c2"]]


async def test_after_a_snapshot_that_raises_a_resync_is_sent_and_the_next_domain_is_called() -> None:
    asked: list[str] = []

    class Broken(Domain):
        def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
            raise RuntimeError("a bug")

    class Second(Domain):
        def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
            asked.extend(map(str, topics))
            return ()

    gateway = make_gateway(domains=[Broken(), Second()])
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        events = await bob.heard()

        assert types(events) == ["server.presence.batch", "server.system.resync"]
        assert events[1]["data"] == {"topics": [{"kind": "user", "id": "alice"}]}
        assert asked == ["user:alice"]


class SlowBroker(MemoryBroker):
    """A broker that records its interest, and waits before it acknowledges it."""

    def __init__(self) -> None:
        super().__init__()
        self.interest: Counter[Interest] = Counter()
        self.acknowledge = asyncio.Event()

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None]:
        for interest in interests:
            self.interest[interest] = 1
        return self._acknowledged()

    async def _acknowledged(self) -> None:
        await self.acknowledge.wait()

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        for interest in interests:
            del self.interest[interest]


class BusNode:
    """A bus with a slow broker, and sockets without a network."""

    def __init__(self) -> None:
        self.broker = SlowBroker()
        self.hub: Hub[FakeSocket] = Hub()
        batcher: WriteBatcher[FakeSocket] = WriteBatcher(FakeLoop(), 0.0, Stats())
        interests = Interests(self.broker, self.hub, lambda interests: None)
        contract = Contract(MESSENGER_EVENTS)
        self.bus = EventBus(contract, self.hub, batcher, self.broker, interests, Stats(), {})  # type: ignore[arg-type]

    def socket(self, user_id: str) -> FakeSocket:
        socket = FakeSocket(user_id, user_id)
        self.hub.register(socket)
        return socket


TOPIC = Topic("conversation", "c")


async def test_interest_is_kept_for_a_subscribe_that_waits_while_the_last_subscriber_leaves() -> None:
    node = BusNode()
    node.broker.acknowledge.set()
    alice, bob = node.socket("alice"), node.socket("bob")
    await node.bus.subscribe(alice.context, [TOPIC])
    node.broker.acknowledge.clear()
    subscribing = asyncio.create_task(node.bus.subscribe(bob.context, [TOPIC]))
    await asyncio.sleep(0)

    node.hub.unregister(alice)
    node.broker.acknowledge.set()
    await subscribing

    assert set(node.broker.interest) == {TOPIC}
    node.hub.unregister(bob)
    assert set(node.broker.interest) == set()


@pytest.mark.parametrize("how", ["the socket closes", "the subscribe is cancelled"])
async def test_interest_is_withdrawn_when_a_subscribe_is_abandoned(how: str) -> None:
    node = BusNode()
    bob = node.socket("bob")
    subscribing = asyncio.create_task(node.bus.subscribe(bob.context, [TOPIC]))
    await asyncio.sleep(0)

    if how == "the socket closes":
        node.hub.unregister(bob)
        node.broker.acknowledge.set()
        assert await subscribing == ([], [])
    else:
        subscribing.cancel()
        await asyncio.gather(subscribing, return_exceptions=True)

    assert set(node.broker.interest) == set()


async def test_only_new_topics_are_subscribed_at_the_broker() -> None:
    node = BusNode()
    node.broker.acknowledge.set()
    bob = node.socket("bob")
    await node.bus.subscribe(bob.context, [TOPIC])
    node.broker.interest.clear()

    assert await node.bus.subscribe(bob.context, [TOPIC]) == ([TOPIC], [])
    assert set(node.broker.interest) == set()
