"""`docs/wire.md` is enough to write a client: one written from it alone works with a real server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import pytest
from fastapi import FastAPI

from hubbub import (
    Context,
    Domain,
    Gateway,
    Identity,
    JWTAuthenticator,
    Limits,
    MessageNew,
    MessengerDomain,
    ServerEvent,
    Topic,
    mint_token,
)
from hubbub.testing import Address, ManualClock, serve
from tests.docs.wire_client import Backoff, Closed, Refused, Socket, listen

SECRET = "the secret of a page that says everything"
C1, SECRETS, BOB = (
    {"kind": "conversation", "id": "c1"},
    {"kind": "conversation", "id": "s"},
    {"kind": "user", "id": "bob"},
)


class DomainWithoutSnapshot(Domain):
    """A domain that has no snapshot of conversation c9, so its subscribers must fetch."""

    def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        if Topic("conversation", "c9") in topics:
            raise RuntimeError("the database is away")
        return ()


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    if any(topic.id == "undecided" for topic in topics):
        raise RuntimeError("the database is away")
    return [topic for topic in topics if topic.id != "s"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gateway(clock: ManualClock) -> Gateway:
    return Gateway(
        authenticate=JWTAuthenticator(SECRET, algorithms=["HS256"], clock=clock),
        authorize=authorize,
        domains=[MessengerDomain(), DomainWithoutSnapshot()],
        clock=clock,
        limits=Limits(sockets_per_user=2),
    )


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    app = FastAPI()
    gateway.attach(app)
    async with serve(app) as address:
        yield address


@pytest.fixture
def connect(server: Address, clock: ManualClock) -> Iterator[Any]:
    """Open sockets: `connect("alice")`, or `connect(None, header)`."""
    opened: list[Socket] = []

    async def connect(user: str | None, *headers: str) -> Socket:
        token = () if user is None else (f"Authorization: Bearer {mint_token(user, key=SECRET, clock=clock)}",)
        opened.append(await Socket.open(server.host, server.port, *token, *headers))
        return opened[-1]

    yield connect
    for socket in opened:
        socket.abandon()


async def closed(socket: Socket) -> tuple[int, str]:
    try:
        while True:
            await socket.receive()
    except Closed as error:
        return error.code, error.reason


async def test_a_client_subscribes_sends_and_receives(connect: Any, gateway: Gateway) -> None:
    alice, bob = await connect("alice"), await connect("bob")
    assert (await alice.receive())["data"]["userId"] == "alice"
    await bob.expect("server.system.ready")

    alice.send("client.system.subscribe", {"topics": [C1, SECRETS, BOB]}, id="1")
    assert await alice.expect("server.system.subscribed") == {"topics": [C1, BOB], "refused": [SECRETS]}
    refusal = await alice.receive()
    assert (refusal["data"]["code"], refusal["id"]) == ("topic_forbidden", "1")
    assert await alice.expect("server.presence.batch") == {"users": [{"userId": "bob", "status": "offline"}]}
    bob.send("client.system.subscribe", {"topics": [C1]})
    await bob.expect("server.system.subscribed")

    await gateway.publish(MessageNew("c1", "m1", "carol", "2026-01-01T00:00:00.000Z"))
    for socket in (alice, bob):
        assert (await socket.expect("server.messenger.message_new"))["messageId"] == "m1"

    bob.send("client.messenger.typing", {"conversationId": "c1", "userId": "somebody", "isTyping": True})
    assert await alice.expect("client.messenger.typing") == {"conversationId": "c1", "userId": "bob", "isTyping": True}

    alice.send("client.chess.move", {}, id="2")
    error = await alice.receive()
    assert (error["type"], error["data"]["code"], error["id"]) == ("server.system.error", "unknown_type", "2")


async def test_presence_follows_from_sockets(connect: Any, clock: ManualClock) -> None:
    alice = await connect("alice")
    await alice.expect("server.system.ready")
    alice.send("client.system.subscribe", {"topics": [BOB]})
    await alice.expect("server.presence.batch")

    bob = await connect("bob")
    await bob.expect("server.system.ready")
    clock.advance(1)
    update = await alice.expect("server.presence.update")
    while update["userId"] != "bob":  # a user's own updates come without a subscription
        update = await alice.expect("server.presence.update")

    assert update == {"userId": "bob", "status": "online"}


async def test_a_revoked_topic_is_refused_and_the_others_stay(connect: Any, gateway: Gateway) -> None:
    alice = await connect("alice")
    alice.send("client.system.subscribe", {"topics": [C1, BOB]})
    await alice.expect("server.system.subscribed")

    await gateway.revoke("alice", Topic("conversation", "c1"))

    assert await alice.expect("server.system.subscribed") == {"topics": [BOB], "refused": [C1]}


async def test_a_topic_without_a_snapshot_gets_a_resync(connect: Any) -> None:
    alice = await connect("alice")
    alice.send("client.system.subscribe", {"topics": [{"kind": "conversation", "id": "c9"}]})

    assert await alice.expect("server.system.resync") == {"topics": [{"kind": "conversation", "id": "c9"}]}


async def test_a_subscribe_whose_authorization_fails_changes_nothing(connect: Any, gateway: Gateway) -> None:
    alice = await connect("alice")
    alice.send("client.system.subscribe", {"topics": [C1]})
    await alice.expect("server.system.subscribed")
    alice.send("client.system.subscribe", {"topics": [{"kind": "conversation", "id": "undecided"}]})
    assert (await alice.expect("server.system.error"))["code"] == "internal"

    await gateway.publish(MessageNew("c1", "m1", "carol", "2026-01-01T00:00:00.000Z"))

    assert (await alice.expect("server.messenger.message_new"))["messageId"] == "m1"


async def test_a_client_that_does_not_answer_pings_is_closed_with_4408(connect: Any, clock: ManualClock) -> None:
    alice, frozen = await connect("alice"), await connect("bob")
    await alice.expect("server.system.ready")
    for _ in range(3):
        clock.advance(25)
        alice.send("client.any.thing", {})
        await alice.expect("server.system.error")  # by then the ping was read, and answered
    alice.send("client.any.thing", {})
    await alice.expect("server.system.error")

    assert (await closed(frozen))[0] == 4408  # only now does it read the pings


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"no JSON", 4400),
        (b"[]", 4400),
        (b'{"type": "client.system.subscribe", "data": {"topics": null}, "ts": 0}', 4400),
        (b'{"type": "client.any.thing", "data": {}, "ts": "0"}', 4400),
        (b'{"type": "client.any.thing", "data": {}, "ts": 0, "id": null}', 4400),
        (b'{"type": "client.any.thing", "ts": 0}', 4400),
        (b'{"type": "server.system.ready", "data": {}, "ts": 0}', 4400),
        (b"\xff", 1007),
    ],
)
async def test_a_message_that_is_not_an_event_closes_the_socket(connect: Any, payload: bytes, code: int) -> None:
    alice = await connect("alice")
    await alice.expect("server.system.ready")

    alice.send_frame(1, payload)

    assert (await closed(alice))[0] == code


async def test_binary_is_closed_with_1003(connect: Any) -> None:
    alice = await connect("alice")
    await alice.expect("server.system.ready")

    alice.send_frame(2, b"{}")

    assert await closed(alice) == (1003, "text frames only")


@pytest.mark.parametrize("header", [(), ("Authorization: Bearer nonsense",)])
async def test_an_unknown_user_is_accepted_and_closed_with_4401(connect: Any, header: tuple[str, ...]) -> None:
    assert await closed(await connect(None, *header)) == (4401, "unauthorized")


async def test_a_cookie_needs_the_origin_of_the_server(connect: Any, server: Address, clock: ManualClock) -> None:
    cookie = f"Cookie: hubbub_session={mint_token('alice', key=SECRET, clock=clock)}"
    with pytest.raises(Refused, match="403"):
        await connect(None, cookie)
    with pytest.raises(Refused, match="403"):
        await connect(None, cookie, "Origin: https://elsewhere.example")

    alice = await connect(None, cookie, f"Origin: {server.http}")

    assert (await alice.receive())["type"] == "server.system.ready"


@pytest.mark.parametrize(("request_line", "status"), [("GET /ws", 426), ("POST /ws", 405), ("GET /other", 404)])
async def test_a_wrong_request_is_answered_over_http(server: Address, request_line: str, status: int) -> None:
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n" if request_line.startswith("POST") else ""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"{request_line} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n{upgrade}\r\n".encode())

    assert (await reader.readline()).startswith(b"HTTP/1.1 %d " % status)
    writer.close()


async def test_the_sockets_of_a_user_are_limited(connect: Any) -> None:
    for _ in range(2):
        await (await connect("alice")).expect("server.system.ready")

    assert await closed(await connect("alice")) == (4429, "too many sockets of this user")


async def test_withdrawn_access_stops_the_client(connect: Any, gateway: Gateway) -> None:
    heard: list[str] = []
    ready = asyncio.Event()

    def hear(event: dict[str, Any]) -> None:
        heard.append(event["type"])
        if event["type"] == "server.system.subscribed":
            ready.set()

    listening = asyncio.create_task(listen(lambda: connect("alice"), [C1], hear, Backoff()))
    await ready.wait()
    await gateway.disconnect("alice")

    assert (await listening).code == 4403
    assert heard[0] == "server.system.ready"


async def test_after_a_restart_the_client_is_connected_and_subscribed_again() -> None:
    """Two nodes run one after the other, as in a deploy."""
    subscribed: asyncio.Queue[str] = asyncio.Queue()
    closes: list[Closed] = []
    port = 0

    class ShortBackoff(Backoff):
        """A backoff with short delays, so that the test is short."""

        def delay(self, closed: Closed) -> float | None:
            closes.append(closed)
            delay = super().delay(closed)
            return None if delay is None else min(delay, 0.05)

    def hear(event: dict[str, Any]) -> None:
        if event["type"] == "server.system.subscribed":
            subscribed.put_nowait(event["type"])

    def make_app() -> FastAPI:
        app = FastAPI()
        gateway = Gateway(
            authenticate=lambda handshake: Identity("alice"), authorize=authorize, domains=[MessengerDomain()]
        )
        gateway.attach(app)
        return app

    async with serve(make_app()) as first:
        port = first.port
        listening = asyncio.create_task(listen(lambda: Socket.open("127.0.0.1", port), [C1], hear, ShortBackoff()))
        await subscribed.get()
    async with serve(make_app()) as second:
        port = second.port
        await subscribed.get()
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening

    assert closes[0].code == 1012
    assert closes[0].reason.startswith("restart; retry_after_ms=")


@pytest.mark.parametrize(
    ("code", "reason", "least", "most"),
    [
        (4400, "", None, None),
        (4401, "unauthorized", None, None),
        (4408, "heartbeat timeout", 0.0, 0.5),
        (1006, "", 0.0, 0.5),
        (4999, "a code of tomorrow", 0.0, 0.5),
        (1012, "restart; retry_after_ms=250", 0.25, 0.75),
        (1012, "restart", 0.0, 0.5),
        (1012, "restart; retry_after_ms=99999999999", 300.0, 300.5),
    ],
)
def test_a_close_code_says_whether_to_reconnect(
    code: int, reason: str, least: float | None, most: float | None
) -> None:
    delay = Backoff().delay(Closed(code, reason))

    if least is None or most is None:
        assert delay is None
    else:
        assert delay is not None
        assert least <= delay <= most
