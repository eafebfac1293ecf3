"""The HTTP protocol of `hubbub run`: which requests are refused before the app or the gateway sees them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Self, cast

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.asyncio.client import connect

from hubbub import Gateway, Handshake, Identity, Limits, WebSocketProtocol
from hubbub.testing import Address, ManualClock, serve
from hubbub.transports.uvicorn.http_protocol import HttpProtocol
from tests.support import Client, authenticate, make_gateway, running, services_of
from tests.websocket import upgrade

KILO = 1024


class Peer:
    """A TCP connection that may send anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, address: Address) -> AsyncIterator[Self]:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_until_closed(self, data: bytes) -> None:
        """Send the same bytes repeatedly until the server closes the connection."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                while True:
                    await self.send(data)
                    await asyncio.sleep(0)

    async def rest(self) -> bytes:
        """Read until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 20)

    async def response(self) -> tuple[int, bytes]:
        """Read one response with a length; return its status and its body."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head.split()[1]), await self.reader.readexactly(int(length or b"0"))


def status(response: bytes) -> int:
    """Return the status of the one response that came."""
    assert response.count(b"HTTP/1.1 ") == 1, response
    return int(response.split()[1])


def rest_request(address: Address, *headers: str, path: str = "/length") -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {address.host}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


REQUESTS = pytest.mark.parametrize("request_of", [rest_request, upgrade], ids=["REST", "upgrade"])


class App:
    """An app that counts what reaches it."""

    def __init__(self) -> None:
        self.requests = 0
        self.go_on = asyncio.Event()
        self.asgi = FastAPI()
        self.asgi.add_api_route("/length", self.length, methods=["GET", "POST"])
        self.asgi.add_api_route("/slow", self.slow)
        self.asgi.add_api_websocket_route("/echo", self.echo)

    async def length(self, request: Request) -> int:
        self.requests += 1
        return len(await request.body())

    async def slow(self) -> str:
        self.requests += 1
        await self.go_on.wait()
        return "slow"

    async def echo(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gateway(clock: ManualClock) -> Gateway:
    return make_gateway(clock=clock)


@pytest.fixture
async def server(app: App, gateway: Gateway) -> AsyncIterator[Address]:
    async with running(gateway, app.asgi) as address:
        yield address


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged, and assert that there are no tracebacks."""
    assert [record for record in caplog.records if record.exc_info] == []
    return [record.getMessage() for record in caplog.records if record.name == "hubbub.http"]


# --- how long a head may be -----------------------------------------------------------------------------------------


TOO_MUCH = pytest.mark.parametrize(
    ("headers", "path", "expected", "reason"),
    [
        ([f"X-{number}: 1" for number in range(130)], "", 431, "headers"),
        (["X-Long: " + "x" * 9 * KILO], "", 431, "header bytes"),
        ([f"X-{number}: {'x' * 90}" for number in range(95)], "", 431, "header bytes"),
        ([], "?" + "x" * 9 * KILO, 414, "target bytes"),
        (["Cookie: a=" + "\\" * 8 * KILO], "", 431, "header bytes"),
    ],
    ids=["130 headers", "a header of 9 KiB", "95 headers of 100 bytes", "a target of 9 KiB", "a cookie of 8 KiB"],
)


@REQUESTS
@TOO_MUCH
@pytest.mark.parametrize("split", [False, True], ids=["at once", "in parts"])
async def test_a_head_over_the_limits_is_refused(
    request_of: Any,
    headers: list[str],
    path: str,
    expected: int,
    reason: str,
    split: bool,
    app: App,
    gateway: Gateway,
    server: Address,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    data = request_of(server, *headers, path=("/ws" if request_of is upgrade else "/length") + path)
    async with Peer.of(server) as peer:
        for part in (data[:100], data[100:4000], data[4000:]) if split else (data,):
            await peer.send(part)
            await asyncio.sleep(0)

        assert status(await peer.rest()) == expected
    assert dict(gateway.stats.refusals) == {reason: 1}
    assert len(lines_of(caplog)) == 1
    assert (app.requests, gateway.stats.connects) == (0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"GET /?" + b"x" * 9 * KILO, 414), (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9 * KILO, 431)],
    ids=["a target", "a header"],
)
async def test_a_head_is_refused_before_it_is_complete(data: bytes, expected: int, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(data)

        assert status(await peer.rest()) == expected


@REQUESTS
async def test_a_head_within_the_limits_is_served(request_of: Any, gateway: Gateway, server: Address) -> None:
    headers = ["Authorization: alice", *(f"X-{number}: {'x' * 70}" for number in range(90))]
    path = "/ws" if request_of is upgrade else "/length"
    data = request_of(server, *headers, path=path + "?" + "x" * 500)
    assert 7 * KILO < len(data) < 8 * KILO
    async with Peer.of(server) as peer:
        await peer.send(data)

        assert (await peer.response())[0] == (101 if request_of is upgrade else 200)
    assert not gateway.stats.refusals


async def test_the_gateways_limits_apply(app: App) -> None:
    gateway = make_gateway(limits=Limits(header_bytes=20 * KILO, headers=5))
    async with running(gateway, app.asgi) as server:
        async with Peer.of(server) as peer:
            await peer.send(rest_request(server, "X: " + "x" * 15 * KILO))
            assert (await peer.response())[0] == 200
        async with Peer.of(server) as peer:
            await peer.send(rest_request(server, *["X: 1"] * 5))
            assert status(await peer.rest()) == 431


async def test_an_app_without_a_gateway_has_the_usual_limits(app: App) -> None:
    async with serve(app.asgi, lifespan="off") as server:
        async with Peer.of(server) as peer:
            await peer.send(rest_request(server, *["X: 1"] * 130))
            assert status(await peer.rest()) == 431
        async with connect(server.ws + "/echo") as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"


async def test_a_peer_that_sends_megabytes_of_headers_still_gets_the_response(server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        for _ in range(64):
            await peer.send(b"x" * 64 * KILO)

        assert status(await peer.rest()) == 431


async def test_a_peer_that_does_not_close_after_a_refusal_is_aborted(clock: ManualClock, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server, *["X: 1"] * 130))
        assert status(await peer.rest()) == 431

        clock.advance(5)

        await peer.send_until_closed(b"x")


@pytest.mark.parametrize("size", [100, 200_000, 2_000_000])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
async def test_a_body_does_not_count_as_headers(size: int, chunked: bool, server: Address) -> None:
    head = b"POST /length HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        body = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
    else:
        body = b"Content-Length: %d\r\n\r\n%s" % (size, b"x" * size)
    async with Peer.of(server) as peer:
        for _ in range(2):  # the second one begins where the first one ended
            await peer.send(head + body + head[:10])
            assert await peer.response() == (200, str(size).encode())
            await peer.send(head[10:] + body)
            assert await peer.response() == (200, str(size).encode())


async def test_trailers_have_the_same_limit(app: App, gateway: Gateway, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(b"POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ")
        await peer.send_until_closed(b"x" * 1000)
    assert dict(gateway.stats.refusals) == {"header bytes": 1}


async def test_a_refusal_is_never_sent_in_place_of_an_earlier_response(app: App, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server, path="/slow"))
        while not app.requests:
            await asyncio.sleep(0)
        await peer.send(rest_request(server, *["X: 1"] * 130))

        assert await peer.rest() == b""
    app.go_on.set()


async def test_pipelined_requests_are_answered_in_order(app: App, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server, path="/slow") + rest_request(server) + rest_request(server, path="/no"))
        app.go_on.set()

        answers = [await peer.response() for _ in range(3)]
    assert [answer[0] for answer in answers] == [200, 200, 404]
    assert [answer[1] for answer in answers[:2]] == [b'"slow"', b"0"]


# --- how long it may take -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/length", "/ws"])
@pytest.mark.parametrize("length", [1, 10, 60])
async def test_half_a_request_and_silence_is_closed_after_ten_seconds(
    path: str, length: int, gateway: Gateway, clock: ManualClock, server: Address, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Peer.of(server) as peer:
        await peer.send(upgrade(server, path=path)[:length])
        async with Client.open(server, "bob"):  # a whole handshake later, the server has seen it
            clock.advance(9.9)
            assert not gateway.stats.refusals
            clock.advance(0.1)

            assert status(await peer.rest()) == 408
    assert dict(gateway.stats.refusals) == {"header timeout": 1}
    assert len(lines_of(caplog)) == 1


async def test_a_byte_now_and_then_does_not_extend_the_deadline(clock: ManualClock, server: Address) -> None:
    async with Peer.of(server) as peer:
        for byte in upgrade(server)[:10]:
            await peer.send(bytes([byte]))
            async with Client.open(server, "bob"):
                clock.advance(1)

        assert status(await peer.rest()) == 408


async def test_a_connection_that_sends_nothing_is_closed_without_a_response(
    gateway: Gateway, clock: ManualClock, server: Address
) -> None:
    async with Peer.of(server) as peer, Client.open(server, "bob"):
        clock.advance(10)

        assert await peer.rest() == b""
    assert not gateway.stats.refusals


@pytest.mark.parametrize("part", [b"GET /le", b"\r\n"])
async def test_half_of_a_later_request_is_closed_as_well(part: bytes, clock: ManualClock, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server))
        assert (await peer.response())[0] == 200
        clock.advance(60)  # between requests, uvicorn's own keep-alive timeout applies
        await peer.send(part)
        async with Client.open(server, "bob"):
            clock.advance(10)

        assert status(await peer.rest()) == 408


async def test_a_slow_app_is_not_cut_off(app: App, clock: ManualClock, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server, path="/slow"))
        while not app.requests:
            await asyncio.sleep(0)
        clock.advance(60)
        app.go_on.set()

        assert (await peer.response())[0] == 200


async def test_an_open_socket_has_no_deadline(gateway: Gateway, clock: ManualClock, server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        clock.advance(20)

        await alice.heard()
        assert gateway.load.sockets == 1


async def test_a_server_that_stops_does_not_wait_for_connections_without_a_request(gateway: Gateway) -> None:
    async with contextlib.AsyncExitStack() as server:
        address = await server.enter_async_context(running(gateway))
        async with Peer.of(address) as peer, Client.open(address, "bob") as bob:
            await bob.heard()
            ending = asyncio.create_task(server.aclose())
            assert await peer.rest() == b""
            await ending


# --- upgrades -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"http": "httptools"}, {"http": "h11"}], ids=["ours", "httptools", "h11"])
async def test_an_upgrade_over_http_1_0_is_refused(gateway: Gateway, options: dict[str, Any]) -> None:
    async with running(gateway, **options) as server, Peer.of(server) as peer:
        request = upgrade(server, "Authorization: alice").replace(b"HTTP/1.1", b"HTTP/1.0")
        await peer.send(request)

        assert status(await peer.rest()) in (400, 505)  # h11 ignores the upgrade there
    assert gateway.stats.connects == 0


async def test_an_upgrade_of_the_apps_own_route_over_http_1_0_is_refused(server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(upgrade(server, path="/echo").replace(b"HTTP/1.1", b"HTTP/1.0"))

        assert status(await peer.rest()) == 505


@pytest.mark.parametrize("path", ["/ws", "/echo"])
async def test_bytes_that_arrive_together_with_an_upgrade_are_not_lost_silently(
    path: str, gateway: Gateway, server: Address
) -> None:
    async with Peer.of(server) as peer:
        await peer.send(upgrade(server, "Authorization: alice", path=path) + b"\x81\x80\0\0\0\0")

        assert status(await peer.rest()) == 400
    assert dict(gateway.stats.refusals) == {"early data": 1}


async def test_an_upgrade_may_arrive_byte_by_byte(gateway: Gateway, server: Address) -> None:
    async with Peer.of(server) as peer:
        for byte in upgrade(server, "Authorization: alice"):
            await peer.send(bytes([byte]))
            await asyncio.sleep(0)

        assert (await peer.response())[0] == 101
    assert gateway.stats.connects == 1


async def test_an_upgrade_may_follow_a_request(gateway: Gateway, server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server))
        assert (await peer.response())[0] == 200
        await peer.send(upgrade(server, "Authorization: alice"))
        assert (await peer.response())[0] == 101
    assert gateway.stats.connects == 1


async def test_an_upgrade_is_parsed_only_once(app: App, gateway: Gateway) -> None:
    class NeverMade(WebSocketProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            raise AssertionError("the parsed headers are enough")

    async with (
        running(gateway, app.asgi, ws=NeverMade) as server,
        Client.open(server, "alice") as alice,
        connect(server.ws + "/echo") as socket,
    ):
        assert await alice.heard() == []
        await socket.send("hello")
        assert await socket.recv() == "hello"


async def test_the_http_connection_is_forgotten_once_it_is_a_socket(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice"):
        (socket,) = services_of(gateway).hub
        websocket = socket.transport

        assert websocket.server_state.connections == {websocket}


async def test_another_protocol_is_not_switched_to(server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(
            rest_request(server, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")
        )

        answer = await peer.rest()  # the connection is closed after the response: the parser stops
    assert status(answer) == 200
    assert b"connection: close" in answer


@pytest.mark.parametrize("value", ["\\" * 7500, "; ".join(f"c{number}=1" for number in range(1000))[:7500]])
async def test_a_hostile_cookie_is_parsed_within_five_milliseconds(value: str) -> None:
    seen: list[list[str]] = []

    def look(handshake: Handshake) -> Identity | None:
        seen.append(handshake.cookies_named("session"))
        return authenticate(handshake)

    async with running(make_gateway(authenticate=look)) as server:
        times = []
        for _ in range(10):
            async with Peer.of(server) as peer:
                began = time.perf_counter()
                await peer.send(upgrade(server, f"Origin: {server.http}", "Authorization: alice", f"Cookie: {value}"))
                assert (await peer.response())[0] == 101
                times.append(time.perf_counter() - began)
    assert min(times) < 0.005  # the whole handshake, there and back
    assert seen == [[]] * 10


async def test_handshakes_beyond_the_rate_are_refused_before_authentication(clock: ManualClock) -> None:
    asked: list[Handshake] = []

    def look(handshake: Handshake) -> Identity | None:
        asked.append(handshake)
        return authenticate(handshake)

    limits = Limits(handshakes_per_second=2, handshake_burst=3)
    gateway = make_gateway(authenticate=look, limits=limits, clock=clock)
    async with running(gateway) as server:

        async def answers(count: int) -> list[int]:
            found = []
            for _ in range(count):
                async with Peer.of(server) as peer:
                    await peer.send(upgrade(server, "Authorization: alice"))
                    head = await peer.reader.readuntil(b"\r\n\r\n")
                    found.append(int(head.split()[1]))
                    assert (b"Retry-After: 1\r\n" in head) == (found[-1] == 503)
            return found

        assert await answers(5) == [101, 101, 101, 503, 503]
        clock.advance(1)
        assert await answers(3) == [101, 101, 503]
    assert len(asked) == 5
    assert gateway.stats.refusals["rate"] == 3


# --- bytes that are not HTTP, and internal errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\0" * 100,
    ],
    ids=["TLS", "a space before a colon", "two lengths", "a target not in ASCII", "a target that is none", "zeros"],
)
async def test_bytes_that_are_not_http_get_400(
    data: bytes, gateway: Gateway, server: Address, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Peer.of(server) as peer:
        await peer.send(data)

        assert status(await peer.rest()) == 400
    assert dict(gateway.stats.refusals) == {"malformed request": 1}
    assert len(lines_of(caplog)) == 1


async def test_an_internal_error_is_not_blamed_on_the_client(
    gateway: Gateway, server: Address, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HttpToolsProtocol, "on_headers_complete", lambda self: 1 / 0)
    async with Peer.of(server) as peer:
        await peer.send(rest_request(server))

        assert status(await peer.rest()) == 500
    assert [cast(Any, record.exc_info)[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_a_connection_is_kept_alive(server: Address) -> None:
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as rest:
        for size in (0, 1, 100_000):
            assert (await rest.post(server.http + "/length", content=b"x" * size)).json() == size


async def test_a_client_that_expects_100_continue_gets_it(server: Address) -> None:
    async with Peer.of(server) as peer:
        await peer.send(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert (await peer.response())[0] == 100
        await peer.send(b"body")
        assert await peer.response() == (200, b"4")


async def test_the_keep_alive_timer_does_not_run_during_a_request(app: App, gateway: Gateway) -> None:
    connections: list[HttpProtocol] = []

    class Recorded(HttpProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            connections.append(self)

    async with running(gateway, app.asgi, http=Recorded) as server, Peer.of(server) as peer:
        await peer.send(rest_request(server))
        await peer.response()
        (connection,) = connections
        assert connection.timeout_keep_alive_task is not None
        await peer.send(rest_request(server, path="/slow"))
        while app.requests < 2:
            await asyncio.sleep(0)
        assert connection.timeout_keep_alive_task is None
        app.go_on.set()
        await peer.response()
