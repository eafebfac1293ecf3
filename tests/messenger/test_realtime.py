from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import event, select
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hubbub import Context, Topic, mint_token
from hubbub_messenger.app import create_app
from hubbub_messenger.database import Database
from hubbub_messenger.models import Conversation, User
from hubbub_messenger.realtime import authorize, store_last_seen
from hubbub_messenger.settings import Settings

from .conftest import say
from .serving import served

LUNCH = datetime(2030, 1, 31, 12, tzinfo=UTC)


# --- over a real server ---------------------------------------------------------------------------------------------


@pytest.fixture
async def address(settings: Settings) -> AsyncIterator[str]:
    async with served(create_app(settings)) as address:
        yield address


class Person:
    """A user with a token, REST client and sockets. All of them are closed at the end of the test."""

    def __init__(self, stack: AsyncExitStack, address: str, user_id: str) -> None:
        self._stack = stack
        self._headers = {"Authorization": f"Bearer {mint_token(user_id)}"}
        self._url = f"ws://{address}/ws"
        self.rest = httpx.AsyncClient(base_url=f"http://{address}", headers=self._headers)
        stack.push_async_callback(self.rest.aclose)

    async def open_socket(self) -> ClientConnection:
        return await self._stack.enter_async_context(connect(self._url, additional_headers=self._headers))

    async def subscribe(self, *topics: str) -> ClientConnection:
        """Open a socket and subscribe it."""
        socket = await self.open_socket()
        wanted = [dict(zip(("kind", "id"), topic.split(":"), strict=True)) for topic in topics]
        await socket.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": wanted}, "ts": 0}))
        await until(socket, "server.system.subscribed")
        return socket

    async def start_conversation(self, *member_ids: str) -> str:
        answer = await self.rest.post("/api/conversations", json={"memberIds": member_ids})
        id: str = answer.json()["id"]
        return id


PersonFactory = Callable[[str], Person]


async def until(socket: ClientConnection, name: str, **data: str) -> Any:
    """Return the payload of the next event of that name that contains these values."""
    async for text in socket:
        envelope = json.loads(text)
        if envelope["type"] == name and data.items() <= envelope["data"].items():
            return envelope["data"]
    raise AssertionError(f"closed with {socket.close_code} before {name}")


async def close_code_of(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
    return socket.close_code


@pytest.fixture
async def log_in(address: str) -> AsyncIterator[PersonFactory]:
    async with AsyncExitStack() as stack:
        yield partial(Person, stack, address)


@pytest.fixture
def alice(log_in: PersonFactory) -> Person:
    return log_in("alice")


@pytest.fixture
def bob(log_in: PersonFactory) -> Person:
    return log_in("bob")


async def test_a_message_sent_over_rest_reaches_subscribers(alice: Person, bob: Person) -> None:
    conversation = await alice.start_conversation("bob")
    socket = await bob.subscribe(f"conversation:{conversation}")

    message = await say(alice.rest, conversation)

    assert await until(socket, "server.messenger.message_new") == {
        "conversationId": conversation,
        "messageId": message["id"],
        "senderId": "alice",
        "createdAt": message["createdAt"],
    }


async def test_reading_is_signalled_to_the_sender(alice: Person, bob: Person) -> None:
    conversation = await alice.start_conversation("bob")
    message = await say(alice.rest, conversation)
    socket = await alice.subscribe(f"conversation:{conversation}")

    await bob.rest.post(f"/api/conversations/{conversation}/read", json={"messageId": message["id"]})

    received = await until(socket, "server.messenger.message_read")
    assert (received["readerId"], received["messageId"]) == ("bob", message["id"])


async def test_a_new_member_is_notified_of_the_conversation_without_a_subscription(alice: Person, bob: Person) -> None:
    socket = await bob.open_socket()
    await until(socket, "server.system.ready")

    await alice.start_conversation("bob")

    assert await until(socket, "server.messenger.conversations_changed") == {}


async def test_a_former_member_receives_no_more_events(alice: Person, bob: Person) -> None:
    conversation = await alice.start_conversation("bob")
    socket = await bob.subscribe(f"conversation:{conversation}")

    await bob.rest.delete(f"/api/conversations/{conversation}/members/me")
    await alice.rest.post(f"/api/conversations/{conversation}/messages", json={"body": "is he gone?"})

    assert await until(socket, "server.system.subscribed") == {
        "topics": [],
        "refused": [{"kind": "conversation", "id": conversation}],
    }
    await socket.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": []}, "ts": 0}))
    received = [json.loads(await socket.recv())["type"]]
    while received[-1] != "server.system.subscribed":
        received.append(json.loads(await socket.recv())["type"])
    assert "server.messenger.message_new" not in received


async def test_logging_out_closes_the_sockets_of_that_session_only(alice: Person, log_in: PersonFactory) -> None:
    ended, other = await alice.open_socket(), await log_in("alice").open_socket()
    for socket in (ended, other):
        await until(socket, "server.system.ready")

    await alice.rest.delete("/api/session")

    assert await close_code_of(ended) == 4403
    await other.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": []}, "ts": 0}))
    assert await until(other, "server.system.subscribed") == {"topics": [], "refused": []}


async def test_a_revoked_session_cannot_open_a_socket(alice: Person) -> None:
    await alice.rest.delete("/api/session")

    assert await close_code_of(await alice.open_socket()) == 4401


async def test_a_token_of_an_unknown_user_cannot_open_a_socket(log_in: PersonFactory) -> None:
    assert await close_code_of(await log_in("zed").open_socket()) == 4401


async def test_the_cookie_opens_a_socket_for_pages_of_this_host(address: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{address}") as browser:
        await browser.post("/api/session", json={"username": "alice", "password": "alice"})
        cookie = {"Cookie": f"hubbub_session={browser.cookies['hubbub_session']}"}
    async with connect(f"ws://{address}/ws", additional_headers=cookie, origin=f"http://{address}") as socket:  # type: ignore[arg-type]
        assert (await until(socket, "server.system.ready"))["userId"] == "alice"


async def test_a_watcher_sees_a_user_come_online(alice: Person, bob: Person) -> None:
    socket = await alice.subscribe("user:bob")
    await bob.open_socket()

    assert (await until(socket, "server.presence.update", userId="bob"))["status"] == "online"
    answer = await alice.rest.get("/api/presence?userId=bob")
    assert answer.json() == [{"userId": "bob", "status": "online"}]


async def test_when_a_user_was_seen_survives_a_restart(settings: Settings) -> None:
    async with served(create_app(settings)) as address, AsyncExitStack() as stack:
        await until(await Person(stack, address, "bob").open_socket(), "server.system.ready")

    async with served(create_app(settings)) as address, AsyncExitStack() as stack:
        answer = await Person(stack, address, "alice").rest.get("/api/presence?userId=bob")

    (state,) = answer.json()
    assert state["status"] == "offline"
    seen = datetime.fromisoformat(state["lastSeenAt"])
    assert abs(datetime.now(UTC) - seen) < timedelta(minutes=1)


# --- the hooks ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def conversation_of(database: Database) -> str:
    async with database.reading() as transaction:
        id: str = (await transaction.scalars(select(Conversation.id))).one()
        return id


async def test_topics_are_for_members_and_users(database: Database) -> None:
    everyone = await conversation_of(database)
    mine = [Topic("conversation", everyone), Topic("user", "bob"), Topic("user", "alice")]
    others = [
        Topic("conversation", everyone.upper()),
        Topic("conversation", everyone.replace("-", "")),
        Topic("conversation", "01980f3e-7c00-7000-8000-000000000000"),
        Topic("conversation", "alice"),
        Topic("user", everyone),
        Topic("user", "zed"),
        Topic("room", "alice"),
    ]

    for user_id, allowed in (("alice", mine), ("zed", mine[1:])):
        ctx = Context(user_id, "socket", 0, frozenset())
        assert list(await authorize(database, ctx, [*mine, *others])) == allowed


async def test_any_number_of_topics_needs_two_statements(database: Database) -> None:
    statements: list[str] = []
    event.listen(
        database.engine.sync_engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    topics = [Topic("conversation", await conversation_of(database)), Topic("user", "bob")] * 256
    statements.clear()

    await authorize(database, Context("alice", "socket", 0, frozenset()), topics)

    assert len([it for it in statements if it.startswith("SELECT")]) == 2


async def last_seen(database: Database) -> dict[str, datetime | None]:
    async with database.reading() as transaction:
        return dict((await transaction.execute(select(User.id, User.last_seen_at))).all())


async def test_when_users_were_seen_is_stored(database: Database) -> None:
    await store_last_seen(database, {"bob": LUNCH, "alice": LUNCH + timedelta(seconds=1), "zed": LUNCH})

    assert await last_seen(database) == {
        "alice": LUNCH + timedelta(seconds=1),
        "bob": LUNCH,
        "carol": None,
        "dave": None,
    }


async def test_the_later_of_two_times_is_kept(database: Database) -> None:
    await store_last_seen(database, {"bob": LUNCH})
    await store_last_seen(database, {"bob": LUNCH - timedelta(hours=1)})

    assert (await last_seen(database))["bob"] == LUNCH
