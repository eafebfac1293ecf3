"""WebSockets on a real uvicorn: handshakes, the app's own WebSocket routes, slow and silent peers, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import connect
from websockets.frames import Opcode

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
    Unauthorized,
    notify,
)
from hubbub.connections.drain import drain
from hubbub.testing import Address, ManualClock, serve
from tests.support import Client, authenticate, clock_of, make_gateway, running, services_of, types
from tests.websocket import RawSocket, frame, upgrade


async def response_to(address: Address, request: bytes) -> bytes:
    """Send a request, and return the head of the response."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway()


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    async with running(gateway) as address:
        yield address


# --- the opening handshake ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_options", "status"),
    [
        ({"method": "POST"}, 405),
        ({"version": "8"}, 400),
    ],
)
async def test_a_bad_upgrade_is_refused_over_http(
    gateway: Gateway, server: Address, request_options: dict[str, Any], status: int
) -> None:
    head = await response_to(server, upgrade(server, "Authorization: alice", **request_options))

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert gateway.load.sockets == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Origin: https://evil.example"], 403),
        (["Origin: null"], 403),
        (["Origin: https://127.0.0.1.evil"], 403),
        (["Origin: http://127.0.0.1", "Origin: http://127.0.0.1"], 403),
        (["Cookie: session=alice"], 403),
        (["Cookie: session=alice", "Authorization: Basic Zm9v"], 403),
        (["Cookie: session=alice", "Authorization: Bearer "], 403),
        (["Host: other.example"], 400),  # a second one
        (["Sec-WebSocket-Protocol: \xe9"], 400),
        (["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], 400),  # a second one
    ],
)
async def test_a_bad_header_is_refused_over_http(
    gateway: Gateway, server: Address, headers: list[str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    head = await response_to(server, upgrade(server, *headers))

    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert sum(gateway.stats.refusals.values()) == 1
    assert len([record for record in caplog.records if record.getMessage().startswith("refused")]) == 1


@pytest.mark.parametrize("key", [b"", b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", b"Sec-WebSocket-Key:\r\n"])
async def test_a_missing_or_short_key_is_refused_over_http(gateway: Gateway, server: Address, key: bytes) -> None:
    request = re.sub(rb"Sec-WebSocket-Key: .*\r\n", key, upgrade(server, "Authorization: alice"))

    head = await response_to(server, request)

    assert head.startswith(b"HTTP/1.1 400 ")
    assert (gateway.stats.connects, sum(gateway.stats.refusals.values())) == (0, 1)


async def test_a_path_may_be_percent_encoded(server: Address) -> None:
    head = await response_to(server, upgrade(server, "Authorization: alice", path="/%77s"))

    assert head.startswith(b"HTTP/1.1 101 ")


async def test_a_page_of_the_same_host_may_connect(server: Address) -> None:
    head = await response_to(server, upgrade(server, f"Origin: {server.http}", "Authorization: alice"))

    assert head.startswith(b"HTTP/1.1 101 ")


async def test_no_compression_is_offered(server: Address) -> None:
    async with connect(server.ws + "/ws", additional_headers={"Authorization": "alice"}) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthorized("no such user"), 4401),
        (RuntimeError("a bug"), 1011),
        (TimeoutError("the pool of the app's own database"), 1011),
        (asyncio.CancelledError(), 1011),
    ],
)
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_client_that_is_not_authenticated_is_accepted_closed_and_never_registered(
    error: BaseException, code: int, is_async: bool
) -> None:
    connected: list[Context] = []

    class Watcher(Domain):
        def on_connect(self, ctx: Context) -> None:
            connected.append(ctx)

    def refuse(handshake: Handshake) -> Identity | None:
        raise error

    async def refuse_later(handshake: Handshake) -> Identity | None:
        await asyncio.sleep(0)
        raise error

    gateway = make_gateway(authenticate=refuse_later if is_async else refuse, domains=[Watcher()])
    async with running(gateway) as server, Client.open(server, None) as client:
        assert (await client.closed())[0] == code
        assert gateway.load.sockets == 0
        assert gateway.stats.connects == 0
        assert connected == []


async def test_an_authenticator_that_hangs_is_cancelled() -> None:
    async def hang(handshake: Handshake) -> Identity | None:
        await asyncio.sleep(3600)
        return None

    gateway = make_gateway(authenticate=hang, limits=Limits(handshake_seconds=0.05))
    async with running(gateway) as server, Client.open(server, None) as client:
        assert (await client.closed())[0] == 1013


async def test_an_async_authenticator_may_be_slow() -> None:
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        asked.set()
        await go_on.wait()
        return authenticate(handshake)

    async with running(make_gateway(authenticate=slow)) as server:
        opening = asyncio.create_task(response_to(server, upgrade(server, "Authorization: alice")))
        await asked.wait()
        go_on.set()
        assert (await opening).startswith(b"HTTP/1.1 101 ")


async def test_a_client_that_leaves_during_authentication_is_never_registered() -> None:
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        if handshake.header("authorization"):
            return authenticate(handshake)
        asked.set()
        await go_on.wait()
        return Identity("alice")

    gateway = make_gateway(authenticate=slow)
    async with running(gateway) as server:
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upgrade(server))
        await asked.wait()
        writer.transport.abort()
        async with Client.open(server, "bob"):  # a whole handshake later, the server has seen the abort
            go_on.set()
    assert gateway.stats.connects == 1


@pytest.mark.parametrize(("session", "code"), [(None, 4401), ("one", 4401), ("two", None)])
async def test_access_withdrawn_during_authentication_is_refused(session: str | None, code: int | None) -> None:
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        asked.set()
        await go_on.wait()
        return Identity("alice", session="one")

    gateway = make_gateway(authenticate=slow)
    async with running(gateway) as server:
        opening = asyncio.create_task(asyncio.wait_for(connect(server.ws + "/ws"), 10))
        await asked.wait()
        await gateway.disconnect("bob")
        await gateway.disconnect("alice", session=session)
        go_on.set()
        async with await opening as socket:
            if code is None:
                await Client(socket).expect("server.system.ready")
            else:
                assert (await Client(socket).closed())[0] == code


async def test_a_withdrawal_refuses_only_its_own_handshake() -> None:
    waiting: dict[str, asyncio.Event] = {}
    asked = asyncio.Semaphore(0)

    async def slow(handshake: Handshake) -> Identity | None:
        user = handshake.header("authorization") or ""
        waiting[user] = asyncio.Event()
        asked.release()
        await waiting[user].wait()
        return Identity(user)

    gateway = make_gateway(authenticate=slow)
    async with running(gateway) as server:
        url = server.ws + "/ws"
        opening = {
            user: asyncio.ensure_future(asyncio.wait_for(connect(url, additional_headers={"Authorization": user}), 10))
            for user in ("alice", "bob", "carol")
        }
        for _ in opening:
            await asked.acquire()
        for user in ("carol", "bob"):
            waiting[user].set()
            async with await opening[user] as socket:
                await Client(socket).expect("server.system.ready")
        await gateway.disconnect("alice")
        waiting["alice"].set()
        async with await opening["alice"] as socket:
            assert (await Client(socket).closed())[0] == 4401


async def test_a_client_that_sends_before_the_response_is_disconnected() -> None:
    asked = asyncio.Event()

    async def slow(handshake: Handshake) -> Identity | None:
        asked.set()
        await asyncio.sleep(3600)
        return None

    async with running(make_gateway(authenticate=slow, limits=Limits(handshake_seconds=0.05))) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(upgrade(server))
        await asked.wait()
        writer.write(frame(1, b"{}"))

        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_the_authenticator_sees_the_handshake_behind_a_trusted_proxy() -> None:
    seen: list[Handshake] = []

    def look(handshake: Handshake) -> Identity | None:
        seen.append(handshake)
        return Identity("alice")

    async with running(make_gateway(authenticate=look)) as server:
        forwarded = ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")
        await response_to(server, upgrade(server, *forwarded, path="/ws?room=1"))

    (handshake,) = seen
    assert (handshake.path, handshake.query) == ("/ws", "room=1")
    assert handshake.client is not None
    assert handshake.client[0] == "203.0.113.7"
    assert handshake.scheme == "wss"


async def test_proxy_headers_of_an_untrusted_peer_are_ignored() -> None:
    seen: list[Handshake] = []

    def look(handshake: Handshake) -> Identity | None:
        seen.append(handshake)
        return None

    async with running(make_gateway(authenticate=look), forwarded_allow_ips="192.0.2.1") as server:
        await response_to(server, upgrade(server, "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"))

    assert seen[0].client is not None
    assert (seen[0].client[0], seen[0].scheme) == ("127.0.0.1", "ws")


# --- other routes, other servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"http": "httptools"}, {"http": "h11"}], ids=["ours", "httptools", "h11"])
async def test_the_apps_own_websocket_routes_keep_working(gateway: Gateway, options: dict[str, str]) -> None:
    app = FastAPI()

    @app.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            await socket.send_text(await socket.receive_text())

    async with (
        running(gateway, app, **options) as server,
        Client.open(server, "alice") as alice,
        connect(server.ws + "/echo") as socket,
    ):
        assert await alice.heard() == []
        for text in ("one", "two", "x" * 100_000):
            await socket.send(text)
            assert await socket.recv() == text


async def test_rest_and_websocket_share_the_port(gateway: Gateway) -> None:
    app = FastAPI()

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    async with running(gateway, app) as server, Client.open(server, "alice"), httpx.AsyncClient() as rest:
        assert (await rest.get(server.http + "/hello")).json() == "hello"


async def test_a_plain_asgi_app_without_lifespan_can_be_wrapped(gateway: Gateway) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError("this app speaks HTTP only")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    async with serve(gateway.attach(app)) as server, Client.open(server, "alice"), httpx.AsyncClient() as rest:
        assert (await rest.get(server.http)).text == "plain"
        assert gateway.ready
    assert not gateway.ready


async def test_a_gateway_that_cannot_start_stops_the_server(caplog: pytest.LogCaptureFixture) -> None:
    class WithoutHandlers(Domain):
        events = MessengerDomain.events

    gateway = make_gateway(domains=[WithoutHandlers()])
    with pytest.raises(RuntimeError, match="did not start"):
        async with running(gateway):
            pass
    assert not gateway.ready
    assert "no domain handles client.messenger.typing" in caplog.text


async def test_a_failing_startup_of_the_app_stops_the_gateway(gateway: Gateway) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    with pytest.raises(RuntimeError, match="did not start"):
        async with running(gateway, FastAPI(lifespan=lifespan)):
            pass
    assert not gateway.ready


async def test_the_contract_is_served_beside_the_apps_own_routes() -> None:
    app = FastAPI(title="Shop", version="7")
    async with running(make_gateway(), app) as server, httpx.AsyncClient() as rest:
        response = await rest.get(server.http + "/asyncapi.json")
        other = await rest.get(server.http + "/asyncapi.json", headers={"Host": "shop.example"})
        odd = await rest.get(server.http + "/asyncapi.json", headers={"Host": "a/b"})
        head = await rest.head(server.http + "/asyncapi.json")
        post = await rest.post(server.http + "/asyncapi.json")

    document = response.json()
    assert response.headers["content-type"] == "application/json"
    assert document["info"]["title"] == "Shop"
    assert document["servers"]["gateway"]["host"] == f"127.0.0.1:{server.port}"
    assert other.json()["servers"]["gateway"]["host"] == "shop.example"
    assert odd.json()["servers"]["gateway"]["host"] == "localhost"
    assert "server.messenger.message_new" in document["components"]["messages"]
    assert (head.content, head.headers["content-length"]) == (b"", response.headers["content-length"])
    assert post.status_code == 404


async def test_the_contract_can_be_kept_private() -> None:
    async with running(make_gateway(asyncapi_path=None)) as server, httpx.AsyncClient() as rest:
        assert (await rest.get(server.http + "/asyncapi.json")).status_code == 404


# --- peers that are slow, silent or gone ----------------------------------------------------------------------------


async def test_a_peer_that_answers_pings_stays(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        for _ in range(10):
            clock_of(gateway).advance(25)
            await alice.heard()  # the pong was sent before this, on the same stream

        assert gateway.load.sockets == 1


class Recorder(Domain):
    """Records what domains get when sockets disconnect."""

    def __init__(self) -> None:
        self.gone: asyncio.Queue[tuple[Context, InternalDisconnect, int]] = asyncio.Queue()

    def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
        self.gone.put_nowait((ctx, event, code))


async def test_a_peer_that_misses_two_pongs_is_closed_with_4408_and_then_aborted() -> None:
    recorder = Recorder()
    gateway = make_gateway(domains=[recorder])
    async with running(gateway) as server, RawSocket.open(server, "alice") as frozen:
        await frozen.next_frame()  # ready
        clock = clock_of(gateway)

        clock.advance(49)
        assert gateway.load.sockets == 1
        clock.advance(26)

        assert gateway.load.sockets == 0
        ctx, event, code = recorder.gone.get_nowait()
        assert (event.user_id, event.socket_id) == ("alice", ctx.socket_id)
        assert (event.reason, code) == ("heartbeat_timeout", 4408)
        assert await frozen.close_code() == 4408
        clock.advance(5)
        assert await frozen.reader.read() == b""  # the transport was aborted without an answer


@pytest.mark.parametrize("cut", [6, 1, 2, 5])
async def test_a_pong_counts_however_it_is_split(gateway: Gateway, server: Address, cut: int) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        (socket,) = services_of(gateway).hub
        for _ in range(4):
            clock_of(gateway).advance(24)
            while (await raw.next_frame())[0] != Opcode.PING:  # presence sends an update as well
                pass
            assert socket.unanswered_pings == 1
            pong = frame(Opcode.PONG, b"")
            await raw.write(pong[:cut])
            await raw.write(pong[cut:])
            while socket.unanswered_pings:
                await asyncio.sleep(0)

        assert gateway.load.sockets == 1


async def test_half_a_frame_and_silence_is_closed_by_the_heartbeat(gateway: Gateway, server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await raw.write(b"\x81\xfe\x01")

        clock_of(gateway).advance(75)

        assert await raw.close_code() == 4408


async def test_a_token_that_expires_closes_its_socket_with_4401() -> None:
    recorder = Recorder()
    clock = ManualClock()
    gateway = make_gateway(
        domains=[recorder], clock=clock, authenticate=lambda handshake: Identity("alice", clock.time() + 60)
    )
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        for _ in range(2):
            clock.advance(29)
            await alice.heard()
        clock.advance(3)

        assert await alice.closed() == (4401, "unauthorized")
        _, event, code = recorder.gone.get_nowait()
        assert (event.reason, code) == ("auth_failed", 4401)


@pytest.mark.parametrize("code", [1000, 1001, 4000, 4401, 4403, 4408])
async def test_a_client_that_closes_is_a_client_close_with_its_own_code(code: int) -> None:
    recorder = Recorder()
    gateway = make_gateway(domains=[recorder])
    async with running(gateway) as server:
        async with Client.open(server, "alice") as alice:
            await alice.socket.close(code)

        _, event, seen = await recorder.gone.get()
        assert (event.reason, seen) == ("client_close", code)
    assert dict(gateway.stats.closes) == {code if code < 4000 else 1006: 1}  # our own codes count only when we close


async def test_a_connection_that_breaks_is_a_client_close_with_1006() -> None:
    recorder = Recorder()
    async with running(make_gateway(domains=[recorder])) as server:
        async with RawSocket.open(server, "alice") as raw:
            raw.writer.transport.abort()

        _, event, seen = await recorder.gone.get()
        assert (event.reason, seen) == ("client_close", 1006)


async def test_withdrawn_access_is_auth_failed_with_4403() -> None:
    recorder = Recorder()
    gateway = make_gateway(domains=[recorder])
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        await gateway.disconnect("alice")

        assert (await alice.closed())[0] == 4403
        _, event, seen = recorder.gone.get_nowait()
        assert (event.reason, seen) == ("auth_failed", 4403)


async def test_a_slow_consumer_is_disconnected_and_others_receive_everything() -> None:
    recorder = Recorder()
    gateway = make_gateway(domains=[recorder, MessengerDomain()], flush_interval=0.0)
    async with (
        running(gateway) as server,
        RawSocket.open(server, "slow") as slow,
        Client.open(server, "bob", "conversation:c") as bob,
    ):
        cast(asyncio.Transport, slow.writer.transport).pause_reading()
        topics = {"topics": [{"kind": "conversation", "id": "c"}]}
        message = {"type": "client.system.subscribe", "data": topics, "ts": 1}
        await slow.write(frame(1, json.dumps(message).encode()))
        sent = 0
        while recorder.gone.empty():
            notify(MessageNew("c", str(sent), "x" * 50_000, ""))
            assert (await bob.expect("server.messenger.message_new"))["messageId"] == str(sent)
            sent += 1
            assert sent < 1000

        _, _, code = recorder.gone.get_nowait()
        assert code == 4413
        assert gateway.stats.closes[4413] == 1
        clock_of(gateway).advance(5)
        assert types(await bob.heard()) == ["server.presence.update"]  # about bob himself, as time has passed


@pytest.mark.parametrize("end", ["a close frame", "FIN"])
async def test_a_peer_that_stalls_while_it_closes_is_aborted(end: str) -> None:
    gateway = make_gateway(limits=Limits(unsent_bytes=64 * 1024 * 1024))
    async with running(gateway) as server, RawSocket.open(server, "stalled") as raw:
        await raw.next_frame()  # ready
        cast(asyncio.Transport, raw.writer.transport).pause_reading()
        sent = 0
        (socket,) = services_of(gateway).hub
        transport = socket.transport.transport
        while transport.get_write_buffer_size() == 0:
            for _ in range(10):
                notify(MessageNew("c", "m", "stalled", "x" * 50_000))
                sent += 50_000
            await asyncio.sleep(0.006)  # a flush follows the last one after 5 ms
        await raw.write(frame(8, b"\x03\xe8") if end == "a close frame" else b"")
        if end == "FIN":
            raw.writer.write_eof()
        while gateway.load.sockets and not transport.is_closing():
            await asyncio.sleep(0)
        clock_of(gateway).advance(5)

        cast(asyncio.Transport, raw.writer.transport).resume_reading()
        received = 0
        with contextlib.suppress(ConnectionError):
            while data := await raw.reader.read(1 << 20):
                received += len(data)
        assert received < sent


async def test_a_pong_that_was_not_read_yet_does_not_count_as_missed() -> None:
    let_go = asyncio.Event()

    class Slow(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
            await let_go.wait()

    gateway = make_gateway(domains=[Slow()], limits=Limits(queued_events=1))
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        for _ in range(3):
            await alice.typing("c")
        (socket,) = services_of(gateway).hub
        while socket.is_reading:
            await asyncio.sleep(0)
        clock_of(gateway).advance(200)
        let_go.set()

        assert "server.presence.update" in types(await alice.heard())
        assert gateway.load.sockets == 1


async def test_a_full_inbox_stops_reading_and_loses_nothing() -> None:
    let_go = asyncio.Event()
    seen: list[str] = []

    class Slow(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
            await let_go.wait()
            seen.append(message.data.conversation_id)

    gateway = make_gateway(domains=[Slow()], limits=Limits(queued_events=4))
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        for number in range(100):
            await alice.typing(str(number))
        (socket,) = services_of(gateway).hub
        while socket.is_reading:  # until the server has read enough to stop
            await asyncio.sleep(0)
        let_go.set()
        await alice.heard()

    assert seen == [str(number) for number in range(100)]


# --- the events of one socket ---------------------------------------------------------------------------------------


async def test_hooks_and_handlers_of_one_socket_run_one_after_another() -> None:
    log: list[str] = []
    connecting = asyncio.Event()
    gone = asyncio.Event()

    class RecordingDomain(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def on_connect(self, ctx: Context) -> None:
            log.append("connect begins")
            await connecting.wait()
            log.append("connect ends")

        async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
            log.append(f"typing {message.data.conversation_id} begins")
            await asyncio.sleep(0)
            log.append(f"typing {message.data.conversation_id} ends")

        async def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
            log.append("disconnect")
            gone.set()

    gateway = make_gateway(domains=[RecordingDomain()])
    async with running(gateway) as server:
        async with Client.open(server, "alice") as alice:
            await alice.typing("1")
            await alice.typing("2")
            connecting.set()
            await alice.heard()
        await gone.wait()

    assert log == [
        "connect begins",
        "connect ends",
        "typing 1 begins",
        "typing 1 ends",
        "typing 2 begins",
        "typing 2 ends",
        "disconnect",
    ]


async def test_a_socket_that_closes_during_its_connect_hook_still_disconnects_once() -> None:
    log: list[str] = []
    go_on = asyncio.Event()
    gone = asyncio.Event()

    class First(Domain):
        async def on_connect(self, ctx: Context) -> None:
            await go_on.wait()
            log.append("first")

    class Second(Domain):
        def on_connect(self, ctx: Context) -> None:
            log.append("second")

        def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
            log.append("second is gone")
            gone.set()

    gateway = make_gateway(domains=[First(), Second()])
    async with running(gateway) as server:
        async with Client.open(server, "alice"):
            pass
        while gateway.load.sockets:
            await asyncio.sleep(0)
        go_on.set()
        await gone.wait()

    assert log == ["first", "second", "second is gone"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_hook_that_raises_is_logged_and_the_socket_stays_open(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Domain):
        def on_connect(self, ctx: Context) -> Awaitable[None] | None:
            if is_async:
                return self.fail()
            raise RuntimeError("a bug")

        async def fail(self) -> None:
            raise RuntimeError("a bug")

    gateway = make_gateway(domains=[Broken()])
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        assert await alice.heard() == []  # the client sent no request, so it gets no error
    assert gateway.stats.errors["internal"] == 1
    assert any(record.exc_info for record in caplog.records)


# --- shutdown -------------------------------------------------------------------------------------------------------


async def test_a_gateway_that_stops_closes_its_sockets_with_1012(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice") as alice, Client.open(server, "bob") as bob:
        await gateway.stop()

        for client in (alice, bob):
            code, reason = await client.closed()
            assert code == 1012
            assert re.fullmatch(r"restart; retry_after_ms=\d{1,3}", reason)
        assert gateway.load.sockets == 0


async def test_a_draining_node_answers_upgrades_with_503(gateway: Gateway, server: Address) -> None:
    assert gateway.admission is not None
    await drain(gateway.admission, 0, asyncio.Event())

    head = await response_to(server, upgrade(server, "Authorization: alice"))

    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in head
    assert not gateway.ready


async def test_a_handler_that_has_to_be_cancelled_at_the_end_still_leads_to_on_disconnect() -> None:
    begun = asyncio.Event()
    log: list[str] = []

    class Stuck(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
            begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        async def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
            await asyncio.sleep(0)
            log.append(f"disconnected with {code}")

    gateway = make_gateway(domains=[Stuck()])
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        await alice.typing("c")
        await begun.wait()
        assert gateway.admission is not None
        await drain(gateway.admission, 0.05, asyncio.Event())

    assert log == ["cancelled", "disconnected with 1012"]


async def test_a_drain_is_spread_over_its_window_unless_it_is_forced(gateway: Gateway, server: Address) -> None:
    assert gateway.admission is not None
    force = asyncio.Event()
    async with Client.open(server, "alice"), Client.open(server, "bob"), Client.open(server, "carol"):
        draining = asyncio.create_task(drain(gateway.admission, 3600, force))
        while gateway.load.sockets == 3:
            await asyncio.sleep(0)
        assert gateway.load.sockets == 2
        force.set()
        await draining

        assert gateway.load.sockets == 0


async def test_a_handler_in_flight_finishes_before_the_gateway_stops(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    begun = asyncio.Event()
    finished = asyncio.Event()

    class Slow(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing)

        async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
            begun.set()
            await asyncio.sleep(0.05)
            finished.set()

    gateway = make_gateway(domains=[Slow()])
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        await alice.typing("c")
        await begun.wait()
        await gateway.stop()

        assert finished.is_set()


async def test_a_request_whose_upgrade_a_proxy_removed_gets_an_explanation(server: Address) -> None:
    async with httpx.AsyncClient() as rest:
        got = await rest.get(server.http + "/ws")
        head = await rest.head(server.http + "/ws")
        posted = await rest.post(server.http + "/ws", json={})

    assert (got.status_code, got.headers["upgrade"], got.headers["connection"]) == (426, "websocket", "Upgrade")
    assert "proxy" in got.text
    assert (head.status_code, head.content) == (426, b"")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET")
