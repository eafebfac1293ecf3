"""The same connection over plain ASGI: on uvicorn's own WebSocket classes, and in in-process test clients."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hubbub import (
    Context,
    Domain,
    Envelope,
    Gateway,
    Handshake,
    Identity,
    InternalDisconnect,
    Limits,
    MessageNew,
    MessengerDomain,
    Router,
    Typing,
    notify,
)
from hubbub.testing import Address, ManualClock
from hubbub.transports.asgi import handshake_of
from tests.support import Client, authenticate, make_gateway, running, services_of, types
from tests.websocket import RawSocket, frame

MESSAGE = MessageNew(conversation_id="c1", message_id="m1", sender_id="alice", created_at="2026-01-01T00:00:00Z")


@pytest.fixture(params=["websockets-sansio", "wsproto"])
def ws(request: pytest.FixtureRequest) -> str:
    """The name of uvicorn's own WebSocket class that serves the socket."""
    name: str = request.param
    return name


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway()


@pytest.fixture
async def server(gateway: Gateway, ws: str) -> AsyncIterator[Address]:
    async with running(gateway, ws=ws) as address:
        yield address


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that no event announces."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def is_clean(gateway: Gateway) -> bool:
    """Return whether nothing of any socket is left."""
    assert gateway.admission is not None
    return (gateway.load.sockets, gateway.load.tasks, gateway.admission.open_count) == (0, 0, 0)


# --- behaviour common to all transports -----------------------------------------------------------------------------


async def test_an_event_reaches_only_its_subscribers(server: Address) -> None:
    async with (
        Client.open(server, "bob", "conversation:c1") as bob,
        Client.open(server, "carol", "conversation:c2") as carol,
    ):
        notify(MESSAGE)

        assert types(await bob.heard()) == ["server.messenger.message_new"]
        assert await carol.heard() == []


async def test_many_events_arrive_complete_and_in_order(server: Address) -> None:
    numbers = [str(number) for number in range(500)]
    async with Client.open(server, "bob", "conversation:c1") as bob:
        for number in numbers:
            notify(MessageNew("c1", number, "alice", "é" * (int(number) % 3 * 60)))
            if int(number) % 50 == 0:
                await asyncio.sleep(0)

        assert [event["data"]["messageId"] for event in await bob.heard()] == numbers


async def test_a_socket_without_a_token_is_accepted_and_closed_with_4401(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, None) as nobody:
        assert await nobody.closed() == (4401, "unauthorized")

    await until(lambda: is_clean(gateway))
    assert gateway.stats.connects == 0


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        ("[]", 4400, "an event is a JSON object"),
        (b"{}", 1003, "text frames only"),
        ("x" * (64 * 1024 + 1), 1009, "message too big"),
        ("é" * (32 * 1024 + 1), 1009, "message too big"),
    ],
)
async def test_a_bad_message_closes_the_socket_with_the_same_code(
    gateway: Gateway, server: Address, sent: str | bytes, code: int, reason: str
) -> None:
    async with Client.open(server, "alice") as alice, Client.open(server, "bob") as bob:
        await alice.socket.send(sent)

        assert (await alice.closed())[0] == code
        assert await bob.heard() == []
    await until(lambda: is_clean(gateway))
    assert gateway.stats.closes[code] == 1


async def test_a_message_of_just_the_limit_is_read(server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        empty = json.dumps({"type": "client.x.y", "data": {}, "ts": 1, "id": ""}, ensure_ascii=False)
        await alice.socket.send(empty[:-2] + "é" * ((64 * 1024 - len(empty)) // 2) + '"}')

        assert (await alice.expect("server.system.error"))["code"] == "unknown_type"


async def test_domains_see_who_connects_and_how_they_disconnect(ws: str) -> None:
    seen: list[tuple[str, int]] = []
    gone = asyncio.Event()

    class Recorder(Domain):
        def on_connect(self, ctx: Context) -> None:
            seen.append((ctx.user_id, 0))

        def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
            seen.append((ctx.user_id, code))
            gone.set()

    async with running(make_gateway(domains=[Recorder()]), ws=ws) as server:
        async with Client.open(server, "alice") as alice:
            await alice.socket.close(4999)
        await gone.wait()

    assert seen == [("alice", 0), ("alice", 4999)]


# --- refusals -------------------------------------------------------------------------------------------------------


async def test_a_foreign_page_is_refused_over_http(gateway: Gateway, server: Address) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(server.ws + "/ws", origin="https://evil.example"):  # type: ignore[arg-type]
            pass

    assert refused.value.response.status_code == 403
    assert gateway.stats.refusals == {"origin": 1}
    await until(lambda: is_clean(gateway))


async def test_a_full_node_says_when_to_retry(ws: str) -> None:
    gateway = make_gateway(limits=Limits(sockets_per_node=1))
    async with running(gateway, ws=ws) as server, Client.open(server, "alice"):
        with pytest.raises(InvalidStatus) as refused:
            async with Client.open(server, "bob"):
                pass

    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "5"
    assert refused.value.response.body == b"node full\n"


async def test_without_the_extension_every_refusal_is_a_403(gateway: Gateway) -> None:
    sent: list[dict[str, Any]] = []
    app = gateway.attach(no_app)

    await app(scope_of("alice", origin="https://evil.example"), from_list({"type": "websocket.connect"}), into(sent))

    assert sent == [{"type": "websocket.close"}]
    await gateway.stop()


async def test_a_client_that_leaves_during_authentication_is_never_registered(ws: str) -> None:
    asked, answer, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def think(handshake: Handshake) -> Identity:
        asked.set()
        await answer.wait()
        answered.set()
        return Identity("alice")

    gateway = make_gateway(authenticate=think)
    async with running(gateway, ws=ws) as server:
        opening = asyncio.create_task(connect(server.ws + "/ws").__aenter__())
        await asked.wait()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        admission = gateway.admission
        assert admission is not None
        await until(lambda: not admission.open_count)
        answer.set()
        await answered.wait()
        await until(lambda: is_clean(gateway))

    assert gateway.stats.connects == 0


# --- time -----------------------------------------------------------------------------------------------------------


async def test_the_heartbeat_is_left_to_the_server_and_a_silent_peer_stays(ws: str) -> None:
    clock = ManualClock()
    async with running(make_gateway(clock=clock), ws=ws) as server, Client.open(server, "alice") as alice:
        clock.advance(1000)

        assert set(types(await alice.heard())) == {"server.presence.update"}


async def test_a_socket_is_closed_when_its_token_expires(ws: str) -> None:
    clock = ManualClock()
    gateway = make_gateway(clock=clock, authenticate=lambda handshake: Identity("alice", clock.time() + 100))
    async with running(gateway, ws=ws) as server, Client.open(server, "alice") as alice:
        clock.advance(99)
        assert types(await alice.heard()) == ["server.presence.update"]
        clock.advance(2)

        assert await alice.closed() == (4401, "unauthorized")


async def test_a_peer_that_does_not_answer_a_close_is_dropped(ws: str) -> None:
    clock = ManualClock()
    gateway = make_gateway(clock=clock)
    async with running(gateway, ws=ws) as server, RawSocket.open(server, "alice") as raw:
        await raw.next_frame()
        await raw.write(frame(1, b"[]"))
        assert await raw.close_code() == 4400

        clock.advance(Limits().close_seconds)

        await until(lambda: is_clean(gateway))


# --- slow peers, busy handlers --------------------------------------------------------------------------------------


async def test_a_slow_consumer_is_closed_and_other_sockets_are_unaffected(
    ws: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    gateway = make_gateway(clock=clock, limits=Limits(unsent_bytes=16 * 1024))
    long = "x" * 4000
    async with running(gateway, ws=ws) as server, RawSocket.open(server, "alice"):
        async with Client.open(server, "bob", "conversation:c1") as bob:
            for number in range(10_000):
                notify(MessageNew("c1", str(number), "alice", long))
                assert (await bob.expect("server.messenger.message_new"))["messageId"] == str(number)
                if gateway.stats.closes[4413]:
                    break
            assert gateway.stats.closes == Counter({4413: 1})
            assert gateway.load.sockets == 1
        clock.advance(Limits().close_seconds)
        await until(lambda: is_clean(gateway))

    assert [record for record in caplog.records if record.exc_info] == []


async def test_events_beyond_the_queue_wait_in_the_network_and_are_handled_in_order(ws: str) -> None:
    handled: list[str] = []
    may_go_on = asyncio.Event()
    has_begun = asyncio.Event()

    class Slow(Domain):
        events = (Typing,)

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def typing(self, ctx: Context, event: Envelope[Typing]) -> None:
            has_begun.set()
            await may_go_on.wait()
            handled.append(event.data.conversation_id)

    gateway = make_gateway(domains=[Slow()], limits=Limits(queued_events=4))
    async with running(gateway, ws=ws) as server, Client.open(server, "alice") as alice:
        for number in range(50):
            await alice.typing(str(number))
        await has_begun.wait()
        await until(lambda: any(not socket.is_reading for socket in services_of(gateway).hub))
        assert gateway.stats.events_in["client.messenger.typing"] == 5  # one is handled, four wait
        may_go_on.set()
        await alice.heard()

    assert handled == [str(number) for number in range(50)]


# --- shutdown of the server -----------------------------------------------------------------------------------------


async def test_when_the_server_stops_its_sockets_get_1012(gateway: Gateway, ws: str) -> None:
    async with running(gateway, ws=ws) as server:
        alice = await connect(server.ws + "/ws", additional_headers={"Authorization": "alice"})

    assert (await Client(alice).closed())[0] == 1012
    assert gateway.load.sockets == 0


# --- how it is selected ---------------------------------------------------------------------------------------------


async def test_one_log_line_recommends_the_faster_way(
    gateway: Gateway, ws: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(gateway, ws=ws) as server:
        for user in ("alice", "bob"):
            async with Client.open(server, user):
                pass

    (line,) = [record for record in caplog.records if record.name == "hubbub.gateway"]
    assert line.levelno == logging.WARNING  # shown without any logging configuration
    assert "uvicorn main:app --ws hubbub:WebSocketProtocol" in line.getMessage()
    assert "hubbub run main:app" in line.getMessage()


async def test_with_lifespan_off_the_first_socket_starts_the_gateway(ws: str) -> None:
    gateway = make_gateway()
    async with running(gateway, ws=ws, lifespan="off") as server:
        assert not gateway.ready
        async with asyncio.TaskGroup() as group:  # both at once: it starts once
            for user in ("alice", "bob"):
                group.create_task(opened_and_closed(server, user))
        assert gateway.stats.connects == 2
        await gateway.stop()


async def opened_and_closed(server: Address, user: str) -> None:
    async with Client.open(server, user):
        pass


async def test_without_lifespan_support_the_first_request_starts_the_gateway(gateway: Gateway) -> None:
    app = FastAPI()
    gateway.attach(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as rest:
        assert not gateway.ready
        await rest.get("/")
        assert gateway.ready  # from now on this node's publications reach other nodes

    await gateway.stop()


async def test_after_the_lifespan_has_ended_no_socket_starts_the_gateway_again(gateway: Gateway) -> None:
    sent: list[dict[str, Any]] = []
    app = gateway.attach(no_app)
    lifespan = from_list({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app({"type": "lifespan"}, lifespan, into(sent))
    sent.clear()

    scope = scope_of("alice", state={}, extensions={"websocket.http.response": {}})
    await app(scope, from_list({"type": "websocket.connect"}), into(sent))

    assert [message.get("status") for message in sent] == [503, None]
    assert not gateway.ready


async def test_rest_works_when_the_gateway_cannot_start(caplog: pytest.LogCaptureFixture) -> None:
    class Unroutable(Domain):
        events = (Typing,)

    app = FastAPI()

    @app.get("/")
    async def get() -> str:
        return "served"

    make_gateway(domains=[Unroutable()]).attach(app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as rest:
        assert (await rest.get("/")).json() == "served"

    assert "no domain handles client.messenger.typing" in caplog.text


# --- in-process test clients ----------------------------------------------------------------------------------------


def app_for_test_clients() -> FastAPI:
    app = FastAPI()
    Gateway(authenticate=authenticate, authorize=allow_all, domains=[MessengerDomain()]).attach(app)

    @app.post("/messages")
    async def post() -> None:
        notify(MESSAGE)

    return app


async def allow_all(ctx: Context, topics: Any) -> Any:
    return topics


def test_starlettes_test_client_receives_events() -> None:
    subscribe = {"type": "client.system.subscribe", "data": {"topics": [{"kind": "conversation", "id": "c1"}]}, "ts": 1}
    with (
        TestClient(app_for_test_clients()) as client,
        client.websocket_connect("/ws", headers={"Authorization": "bob"}) as bob,
        client.websocket_connect("/ws") as nobody,
    ):
        assert bob.receive_json()["type"] == "server.system.ready"
        with pytest.raises(WebSocketDisconnect) as closed:
            nobody.receive_json()
        assert (closed.value.code, closed.value.reason) == (4401, "unauthorized")
        bob.send_json(subscribe)
        assert bob.receive_json()["type"] == "server.system.subscribed"

        client.post("/messages")
        assert bob.receive_json()["data"]["messageId"] == "m1"


def test_starlettes_test_client_works_without_lifespan_one_socket_after_another() -> None:
    client = TestClient(app_for_test_clients())  # each connect has its own event loop
    for user in ("alice", "bob"):
        with client.websocket_connect("/ws", headers={"Authorization": user}) as socket:
            assert socket.receive_json()["data"]["userId"] == user


def test_two_event_loops_at_once_are_refused_with_a_logged_reason(caplog: pytest.LogCaptureFixture) -> None:
    client = TestClient(app_for_test_clients())
    with client.websocket_connect("/ws", headers={"Authorization": "alice"}) as alice:
        alice.receive_json()
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers={"Authorization": "bob"}):
            pass

    assert "one gateway serves one app in one event loop" in caplog.text


# --- what an authenticator sees -------------------------------------------------------------------------------------


def test_a_scope_becomes_a_handshake() -> None:
    handshake = handshake_of(
        {
            "type": "websocket",
            "path": "/ws",
            "query_string": b"a=%20",
            "headers": [(b"cookie", b"a=\xe9"), (b"host", b"x")],
            "client": ["10.0.0.1", 4711],  # Daphne's is a list
            "scheme": "wss",
        }
    )

    assert (handshake.path, handshake.query, handshake.client) == ("/ws", "a=%20", ("10.0.0.1", 4711))
    assert handshake.cookie("a") == "é"
    assert handshake.scheme == "wss"
    assert handshake_of({"path": "/ws", "headers": []}).client is None
    assert handshake_of({"path": "/ws", "headers": []}).scheme == "ws"


def scope_of(user: str, origin: str | None = None, **more: Any) -> dict[str, Any]:
    headers = [(b"host", b"test"), (b"authorization", user.encode())]
    headers += [] if origin is None else [(b"origin", origin.encode())]
    return {"type": "websocket", "path": "/ws", "headers": headers, **more}


def from_list(*messages: dict[str, Any]) -> Callable[[], Any]:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


def into(sent: list[dict[str, Any]]) -> Callable[[Any], Any]:
    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    return send


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("not asked for anything")
