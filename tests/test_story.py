"""The main job, over real sockets: REST writes become signals for subscribers and for no other socket."""

import asyncio
import threading
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from hubbub import (
    ContractError,
    ConversationsChanged,
    Envelope,
    Gateway,
    MessageNew,
    MessageRead,
    Outcome,
    PresenceBatch,
    notify,
)
from hubbub.testing import Address
from tests.support import Client, make_gateway, running, types

MESSAGE = MessageNew(conversation_id="c1", message_id="m1", sender_id="alice", created_at="2026-01-01T00:00:00Z")


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway()


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    app = FastAPI()

    @app.post("/async")
    async def post_async() -> None:
        notify(Envelope.of(MESSAGE))

    @app.post("/sync")
    def post_sync() -> None:  # FastAPI runs it in its thread pool
        notify(Envelope.of(MESSAGE))

    async with running(gateway, app) as address:
        yield address


@pytest.mark.parametrize("endpoint", ["/async", "/sync"])
async def test_a_rest_write_becomes_a_signal(server: Address, endpoint: str) -> None:
    async with Client.open(server, "bob", "conversation:c1") as bob, httpx.AsyncClient() as rest:
        await rest.post(server.http + endpoint)

        event = await bob.receive()

    assert event["type"] == "server.messenger.message_new"
    assert event["data"] == {
        "conversationId": "c1",
        "messageId": "m1",
        "senderId": "alice",
        "createdAt": "2026-01-01T00:00:00Z",
    }
    assert set(event) == {"type", "data", "ts"}


async def test_ready_is_the_first_event_and_names_user_and_socket(server: Address) -> None:
    async with Client.open(server, None) as nobody:
        assert await nobody.closed() == (4401, "unauthorized")
    from websockets.asyncio.client import connect

    async with connect(server.ws + "/ws", additional_headers={"Authorization": "alice"}) as socket:
        data = await Client(socket).expect("server.system.ready")

    assert data["userId"] == "alice"
    assert data["socketId"]


async def test_a_socket_without_subscriptions_receives_nothing(server: Address) -> None:
    async with Client.open(server, "bob") as bob:
        notify(MESSAGE)

        assert await bob.heard() == []


async def test_a_subscriber_of_another_conversation_receives_nothing(server: Address) -> None:
    async with Client.open(server, "bob", "conversation:c2") as bob:
        notify(MESSAGE)

        assert await bob.heard() == []


async def test_the_sender_receives_it_once_on_every_socket_as_self(server: Address) -> None:
    async with Client.open(server, "alice") as phone, Client.open(server, "alice", "conversation:c1") as laptop:
        notify(MESSAGE)

        assert types(await phone.heard()) == ["server.messenger.message_new"]
        assert types(await laptop.heard()) == ["server.messenger.message_new"]


async def test_a_read_receipt_reaches_the_conversation_and_the_reader(server: Address) -> None:
    receipt = MessageRead(conversation_id="c1", message_id="m1", reader_id="bob", read_at="2026-01-01T00:00:00Z")
    async with Client.open(server, "alice", "conversation:c1") as alice, Client.open(server, "bob") as bob:
        notify(receipt)

        assert types(await alice.heard()) == ["server.messenger.message_read"]
        assert types(await bob.heard()) == ["server.messenger.message_read"]


async def test_an_addressed_event_reaches_only_the_named_users(server: Address) -> None:
    async with Client.open(server, "alice") as alice, Client.open(server, "bob", "user:alice") as bob:
        await bob.expect("server.presence.batch")
        notify(ConversationsChanged(), users=["alice", "nobody"])

        assert types(await alice.heard()) == ["server.messenger.conversations_changed"]
        assert await bob.heard() == []


async def test_publish_returns_the_outcome(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "bob", "conversation:c1") as bob:
        assert await gateway.publish(MESSAGE) is Outcome.ACCEPTED
        assert types(await bob.heard()) == ["server.messenger.message_new"]


async def test_notify_works_from_the_apps_own_thread(server: Address) -> None:
    async with Client.open(server, "bob", "conversation:c1") as bob:
        thread = threading.Thread(target=notify, args=(MESSAGE,))
        thread.start()

        assert await bob.expect("server.messenger.message_new")
        thread.join()


async def test_many_events_arrive_complete_and_in_order(server: Address) -> None:
    numbers = [str(number) for number in range(500)]
    async with Client.open(server, "bob", "conversation:c1", "conversation:c2") as bob:
        for number in numbers:
            notify(MessageNew(f"c{1 + int(number) % 2}", number, "alice", ""))
            if int(number) % 50 == 0:
                await asyncio.sleep(0)

        assert [event["data"]["messageId"] for event in await bob.heard()] == numbers


async def test_an_event_that_cannot_be_encoded_raises_in_publish(server: Address) -> None:
    async with Client.open(server, "bob", "conversation:c1") as bob:
        with pytest.raises(ContractError, match="does not fit MessageNew"):
            notify(MessageNew("c1", 5, "alice", ""))  # type: ignore[arg-type]
        with pytest.raises(ContractError, match="answer to one socket"):
            notify(PresenceBatch(()))
        with pytest.raises(ContractError, match=r"takes users=\[...\]"):
            notify(ConversationsChanged())
        with pytest.raises(ContractError, match="takes no users="):
            notify(MESSAGE, users=["bob"])
        with pytest.raises(ContractError, match="a list of user ids"):
            notify(ConversationsChanged(), users="bob")
        with pytest.raises(ContractError, match="a list of user ids"):
            notify(ConversationsChanged(), users=["bob", None])  # type: ignore[list-item]
        for envelope in (
            Envelope("server.messenger.message_new", MESSAGE, "now"),  # type: ignore[arg-type]
            Envelope("server.messenger.message_new", MESSAGE, float("nan")),
            Envelope("server.messenger.message_new", MESSAGE, 1, id=5),  # type: ignore[arg-type]
        ):
            with pytest.raises(ContractError, match="does not fit"):
                notify(envelope)

        assert await bob.heard() == []


async def test_typing_reaches_the_others_in_the_conversation_under_the_senders_own_name(server: Address) -> None:
    async with (
        Client.open(server, "alice", "conversation:c1") as alice,
        Client.open(server, "alice", "conversation:c1") as alice_too,
        Client.open(server, "bob", "conversation:c1") as bob,
        Client.open(server, "carol", "conversation:c2") as carol,
    ):
        await alice.send(
            "client.messenger.typing", {"conversationId": "c1", "userId": "bob", "isTyping": True}, id="mine", ts=5
        )

        event = await bob.receive()
        assert event["type"] == "client.messenger.typing"
        assert event["data"] == {"conversationId": "c1", "userId": "alice", "isTyping": True}
        assert event["ts"] != 5
        assert "id" not in event
        assert types(await alice_too.heard()) == ["client.messenger.typing"]
        assert await alice.heard() == []
        assert await carol.heard() == []


async def test_typing_in_a_conversation_not_subscribed_to_has_no_effect(server: Address) -> None:
    async with Client.open(server, "alice") as alice, Client.open(server, "bob", "conversation:c1") as bob:
        await alice.typing("c1")

        assert await alice.heard() == []
        assert await bob.heard() == []


async def test_disconnect_closes_a_session_or_all_of_a_user(gateway: Gateway, server: Address) -> None:
    async with (
        Client.open(server, "alice/one") as one,
        Client.open(server, "alice/two") as two,
        Client.open(server, "bob/one") as bob,
    ):
        await gateway.disconnect("alice", session="one")
        assert await one.closed() == (4403, "access withdrawn")
        assert await two.heard() == []

        await gateway.disconnect("alice")
        assert await two.closed() == (4403, "access withdrawn")
        assert await bob.heard() == []
