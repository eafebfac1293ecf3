"""A node works with any broker and presence store that implements their protocols: it needs nothing else of them."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from hubbub import ConfigurationError, MessageNew, Outcome, PresenceUpdate, Publisher, Topic
from hubbub.brokers.base import Deliver, OnLoss, Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.cli.main import app
from hubbub.clock import SystemClock
from hubbub.contract.topics import Interest
from hubbub.presence.memory import MemoryPresence
from hubbub.testing import serve
from tests.support import Client, make_gateway, running

NEWS = MessageNew("news", "m1", "bob", "2026-01-01T00:00:00Z")


class Exchange:
    """Connects the brokers of several nodes in one process: each publication goes to every node once."""

    def __init__(self) -> None:
        self.brokers: list[ExchangeBroker] = []

    def broker(self) -> ExchangeBroker:
        return ExchangeBroker(self)


class ExchangeBroker:
    """The broker of one node, connected to an exchange."""

    ready = True

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.interests: set[Interest] = set()

    async def start(self, deliver: Deliver, on_loss: OnLoss) -> None:
        self.deliver, self.on_loss = deliver, on_loss
        self.exchange.brokers.append(self)

    async def stop(self) -> None:
        self.exchange.brokers.remove(self)

    def publish(self, publication: Publication) -> Outcome:
        for broker in self.exchange.brokers:
            broker.deliver(publication, None)
        return Outcome.ACCEPTED

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        return self.publish(publication)

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        self.interests.update(interests)
        return None

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        self.interests.difference_update(interests)


class WatchedPresence(MemoryPresence):
    """Presence in memory that records its calls."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), away_after=300.0, offline_after=3.0)
        self.rounds = 0
        self.losses: list[list[Interest] | None] = []
        self.forgotten: list[Interest] = []

    def start_round(self) -> None:
        self.rounds += 1

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        self.losses.append(None if interests is None else list(interests))

    def forget(self, interests: Iterable[Interest]) -> None:
        self.forgotten += interests


async def test_two_nodes_share_one_bus_over_a_custom_broker() -> None:
    exchange = Exchange()
    here, there = make_gateway(broker=exchange.broker()), make_gateway(broker=exchange.broker())
    async with running(here), running(there) as server, Client.open(server, "alice", "conversation:news") as alice:
        assert await here.publish(NEWS) is Outcome.ACCEPTED

        assert (await alice.expect("server.messenger.message_new"))["messageId"] == "m1"

        await here.disconnect("alice")
        assert (await alice.closed())[0] == 4403


async def test_a_loss_that_a_broker_reports_leads_to_a_resync_and_reaches_presence() -> None:
    broker, presence = Exchange().broker(), WatchedPresence()
    gateway = make_gateway(broker=broker, presence=presence, clock=SystemClock())
    async with running(gateway) as server, Client.open(server, "alice", "conversation:news") as alice:
        assert {"alice", Topic("conversation", "news")} <= broker.interests

        broker.on_loss([Topic("conversation", "news")])

        resync = await alice.expect("server.system.resync")
        assert resync == {"topics": [{"kind": "conversation", "id": "news"}]}
        assert presence.losses == [[Topic("conversation", "news")]]
    assert {"alice", Topic("conversation", "news")} <= set(presence.forgotten)


async def test_changes_of_a_custom_presence_store_reach_watchers() -> None:
    presence = WatchedPresence()
    gateway = make_gateway(presence=presence, clock=SystemClock(), presence_tick=0.01)
    gateway.attach(app := FastAPI())
    async with serve(app, credentials=lambda user: {"Authorization": user}) as server, server.connect("bob") as bob:
        await bob.subscribe("user:alice")
        async with server.connect("alice"):
            await bob.expect(PresenceUpdate, user_id="alice", status="online")

        assert presence.rounds > 0


@pytest.mark.parametrize("engine", [{"broker": Exchange().broker()}, {"presence": WatchedPresence()}])
def test_a_url_together_with_a_custom_engine_is_refused(engine: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="redis_url is short for"):
        make_gateway(redis_url="redis://127.0.0.1", **engine)


async def test_a_publisher_accepts_a_broker() -> None:
    published: list[Publication] = []

    class RecordingBroker(ExchangeBroker):
        def publish(self, publication: Publication) -> Outcome:
            published.append(publication)
            return Outcome.ACCEPTED

    with Publisher(broker=Exchange().broker) as publisher:
        assert await publisher.publish(NEWS) is Outcome.ACCEPTED
    with Publisher(broker=lambda: RecordingBroker(Exchange())) as publisher:
        publisher.notify(NEWS)

    assert [publication.type for publication in published] == ["server.messenger.message_new"]


@pytest.mark.parametrize("engines", [{}, {"redis_url": "redis://127.0.0.1", "broker": Exchange().broker}])
def test_a_publisher_requires_either_a_url_or_a_broker(engines: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="either redis_url or broker"):
        Publisher(**engines)  # type: ignore[arg-type]


def in_memory() -> MemoryBroker:
    return MemoryBroker()


@pytest.mark.parametrize(
    ("options", "status", "output"),
    [
        (["--broker", "tests.test_engines:in_memory"], 0, "accepted"),
        (["--broker", "tests.test_engines:in_memory", "--redis-url", "redis://127.0.0.1:1"], 0, "accepted"),
        (["--broker", "tests.test_engines:NEWS"], 1, "a function that returns a broker"),
        ([], 1, "give --redis-url (or set HUBBUB_REDIS_URL), or --broker"),
    ],
)
def test_the_command_publish_takes_a_broker_too(
    options: list[str], status: int, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUBBUB_REDIS_URL", raising=False)
    data = """{"conversationId": "news", "messageId": "m1", "senderId": "bob", "createdAt": "2026-01-01T00:00:00Z"}"""

    result = CliRunner().invoke(app, ["publish", "server.messenger.message_new", data, *options])

    assert result.exit_code == status
    assert output in result.output
