"""The undocumented parts of uvicorn and websockets that we rely on exist and work as expected.

A new version of either may change them without notice. So each assertion says which part of Hubbub depends on it.
"""

from __future__ import annotations

import asyncio
import inspect
import signal
import weakref
from collections.abc import Mapping
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.config import WS_PROTOCOLS
from uvicorn.importer import import_from_string
from uvicorn.lifespan.on import LifespanOn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import HANDLED_SIGNALS, Server, ServerState
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from hubbub.frames import FrameCodec
from tests.websocket import frame


async def app(scope: object, receive: object, send: object) -> None: ...


def loaded_config(**options: Any) -> uvicorn.Config:
    config = uvicorn.Config(app, log_config=None, **options)
    config.load()
    return config


class FakeTransport(asyncio.Transport):
    """Records whether it was closed."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def missing(part: object, names: Mapping[str, str]) -> list[str]:
    """Return the attributes that an object lacks, each with the part of Hubbub that depends on it."""
    return [f"{name}: {dependant}" for name, dependant in names.items() if not hasattr(part, name)]


# --- uvicorn's HTTP protocol ----------------------------------------------------------------------------------------


def bare_http_protocol() -> HttpToolsProtocol:
    """Return an object as HttpProtocol leaves it until a request is for the app: uvicorn's __init__ has not run."""
    http = HttpToolsProtocol.__new__(HttpToolsProtocol)
    http.cycle = cast(Any, None)
    http.timeout_keep_alive_task = None
    http.url, http.headers, http.expect_100_continue = b"", [], False
    return http


def test_the_http_class_has_the_methods_that_ours_extends_and_calls() -> None:
    assert missing(
        HttpToolsProtocol,
        {
            "connection_made": "HttpProtocol._initialize_uvicorn calls it late",
            "connection_lost": "HttpProtocol.connection_lost calls it, once initialized",
            "pause_writing": "HttpProtocol.pause_writing calls it, once initialized",
            "resume_writing": "HttpProtocol.resume_writing calls it, once initialized",
            "data_received": "HttpProtocol.data_received replaces it",
            "on_message_begin": "HttpProtocol._initialize_uvicorn calls it late",
            "on_url": "HttpProtocol leaves this callback of the parser to it",
            "on_header": "HttpProtocol leaves this callback of the parser to it",
            "on_headers_complete": "HttpProtocol.on_headers_complete passes requests for the app to it",
            "on_body": "HttpProtocol.on_body passes bodies to it",
            "on_message_complete": "HttpProtocol.on_message_complete calls it",
            "handle_websocket_upgrade": "HttpProtocol.handle_websocket_upgrade passes the app's WebSockets to it",
            "shutdown": "Server.shutdown calls it on every connection, initialized or not",
            "_should_upgrade": "HttpProtocol.on_headers_complete asks it",
            "_unset_keepalive_if_required": "HttpProtocol.data_received calls it",
            "_unsupported_upgrade_warning": "HttpProtocol._upgrade calls it for other protocols",
        },
    ) == []  # fmt: skip


async def test_an_http_protocol_has_the_attributes_that_ours_reads_and_sets() -> None:
    http = HttpToolsProtocol(loaded_config(), ServerState(), {})

    assert missing(
        http,
        {
            "config": "HttpProtocol hands it to uvicorn's __init__",
            "server_state": "HttpProtocol hands it to uvicorn's __init__",
            "app_state": "HttpProtocol hands it to uvicorn's __init__",
            "parser": "HttpProtocol makes the parser itself, and keeps it over uvicorn's __init__",
            "transport": "HttpProtocol sets it itself",
            "scope": "HttpProtocol.handle_websocket_upgrade sets its method",
            "headers": "HttpProtocol.on_message_begin makes the list",
            "expect_100_continue": "HttpProtocol.on_message_begin resets it",
            "cycle": "HttpProtocol._is_app_busy asks it",
            "timeout_keep_alive_task": "HttpProtocol sets it before uvicorn's __init__ does",
            "ws_protocol_class": "HttpProtocol.handle_websocket_upgrade sets it for the app's WebSockets",
        },
    ) == []  # fmt: skip


def test_a_request_knows_whether_it_was_answered_and_can_be_set_to_close() -> None:
    names = RequestResponseCycle.__init__.__code__.co_names

    assert "response_complete" in names, "HttpProtocol._is_app_busy reads it"
    assert "keep_alive" in names, "HttpProtocol._upgrade sets it for protocols that are not switched to"


def test_the_parsers_callbacks_work_before_uvicorns_init() -> None:
    http = bare_http_protocol()
    for part in (b"/a", b"?b"):
        http.on_url(part)
    http.on_header(b"Host", b"a")
    http.on_header(b"Expect", b"100-continue")

    assert http.url == b"/a?b", "HttpProtocol.on_headers_complete checks the target's length"
    assert http.headers == [(b"host", b"a"), (b"expect", b"100-continue")], "Upgrade.from_parser takes this list"
    assert http.expect_100_continue, "HttpProtocol._initialize_uvicorn keeps it for the app's request"


@pytest.mark.parametrize(("upgrade", "expected"), [(b"WebSocket", True), (b"h2c", False)])
def test_whether_to_upgrade_is_decided_by_the_headers_before_uvicorns_init(upgrade: bytes, expected: bool) -> None:
    http = bare_http_protocol()
    http.ws_protocol_class = asyncio.Protocol
    http.headers = [(b"connection", b"keep-alive, Upgrade"), (b"upgrade", upgrade)]

    assert http._should_upgrade() is expected, "HttpProtocol.on_headers_complete asks before it initializes uvicorn"


def test_the_keep_alive_timer_may_be_unset_before_uvicorns_init() -> None:
    bare_http_protocol()._unset_keepalive_if_required()  # HttpProtocol.data_received calls it first of all


def test_a_connection_without_a_request_shuts_down_before_uvicorns_init() -> None:
    http, transport = bare_http_protocol(), FakeTransport()
    http.transport = transport
    http.shutdown()

    assert transport.is_closed, "Server.shutdown ends connections on which nothing was requested"


async def test_a_request_and_its_scope_have_one_list_of_headers() -> None:
    http = HttpToolsProtocol(loaded_config(), ServerState(), {})
    http.on_message_begin()

    assert http.scope["headers"] is http.headers, "HttpProtocol._initialize_uvicorn adds the headers it has to the list"
    assert http.url == b"", "HttpProtocol._initialize_uvicorn sets the target after this"


async def test_an_upgrade_is_handed_to_the_class_as_a_request() -> None:
    calls: list[object] = []

    class Recorded(asyncio.Protocol):
        def __init__(self, **options: Any) -> None:
            calls.append(sorted(options))

        def connection_made(self, transport: object) -> None:
            calls.append(transport)

        def data_received(self, data: bytes) -> None:
            calls.append(data)

    class Transport(FakeTransport):
        def set_protocol(self, protocol: object) -> None:
            calls.append(type(protocol))

    transport = Transport()
    http = HttpToolsProtocol(loaded_config(ws=Recorded), ServerState(), {})
    http.connection_made(transport)
    http.on_message_begin()
    http.url = b"/ws"
    http.headers.append((b"host", b"a"))
    http.scope["method"] = "GET"
    http.handle_websocket_upgrade()

    assert calls == [
        ["app_state", "config", "server_state"],
        transport,
        b"GET /ws HTTP/1.1\r\nhost: a\r\n\r\n",
        Recorded,
    ], "WebSocketProtocol parses this request, and undoes the set_protocol that follows"


@pytest.mark.parametrize("http_class", [HttpToolsProtocol, H11Protocol])
def test_the_scope_has_the_version_that_the_client_sent(http_class: type) -> None:
    assert '"http_version"' in inspect.getsource(http_class), "WebSocketProtocol refuses other versions than 1.1 by it"


# --- other parts of uvicorn -----------------------------------------------------------------------------------------


def test_the_state_of_a_server_is_shared_and_holds_its_connections() -> None:
    state = ServerState()

    assert isinstance(state.connections, set), "UvicornWebSocket adds itself: Server.shutdown then closes it"
    assert weakref.ref(state)() is state, "HttpProtocol keeps what connections share by the state, weakly"


def test_a_config_says_how_to_serve() -> None:
    config = loaded_config()

    assert config.http == "auto", "Server puts HttpProtocol in its place"
    assert missing(
        config,
        {
            "ws_protocol_class": "HttpProtocol looks for our class there",
            "ssl": "Upgrade.handshake knows the scheme by it",
            "proxy_headers": "Upgrade.handshake believes a proxy only if it is set",
            "forwarded_allow_ips": "Upgrade.handshake believes these proxies",
            "lifespan_class": "Server.startup replaces what it makes",
            "should_reload": "Server.handle_exit leaves the second signal to the reloader",
            "timeout_graceful_shutdown": "Server.shutdown sets it to what is left of the window",
            "backlog": "Workers listen with it",
            "bind_socket": "Workers share what it returns",
            "configure_logging": "each worker calls it again",
        },
    ) == []  # fmt: skip


def test_proxy_headers_are_applied_to_a_scope_in_one_step() -> None:
    scope: dict[str, Any] = {
        "type": "websocket",
        "client": ("127.0.0.1", 1),
        "scheme": "ws",
        "headers": [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")],
    }
    middleware: Any = ProxyHeadersMiddleware(cast(Any, app), trusted_hosts="127.0.0.1")

    with pytest.raises(StopIteration):  # nothing in it waits: Upgrade.handshake is no coroutine
        middleware(scope, None, None).send(None)

    assert scope["client"][0] == "203.0.113.7", "Handshake.client comes from it"
    assert scope["scheme"] == "wss", "Handshake.scheme comes from it"


def test_uvicorns_default_websocket_class_is_constructed_as_ours_is() -> None:
    usual = import_from_string(cast(str, WS_PROTOCOLS["auto"]))

    parameters = inspect.signature(usual).parameters
    assert {"config", "server_state", "app_state"} <= parameters.keys(), "default_protocol_class: the app's WebSockets"


async def test_a_lifespan_can_be_interrupted() -> None:
    lifespan = LifespanOn(loaded_config())

    assert isinstance(lifespan.startup_event, asyncio.Event), "InterruptibleLifespan.interrupt asks whether it is set"
    assert lifespan.state == {}, "HttpProtocol and Server find the gateway's admission in it"
    assert "main" in LifespanOn.startup.__code__.co_names, "InterruptibleLifespan.main notes its task"
    assert "send" in LifespanOn.main.__code__.co_names, "InterruptibleLifespan.send sees the app's answers"
    assert "shutdown_event" in LifespanOn.shutdown.__code__.co_names, "Server.shutdown calls it after a second signal"


async def test_a_server_is_run_by_the_steps_that_ours_replaces() -> None:
    steps = Server._serve.__code__.co_names

    for name in ("lifespan", "startup", "main_loop", "shutdown", "started", "should_exit"):
        assert name in steps, f"Server.{name} of ours is part of it"
    assert "capture_signals" in Server.serve.__code__.co_names, "Server.capture_signals of ours installs our handler"
    assert "servers" in Server.startup.__code__.co_names, "Server.startup limits unsent bytes on their sockets"
    assert "should_exit" in Server.__init__.__code__.co_names, "Server.should_exit is a property that __init__ sets"
    assert {signal.SIGINT, signal.SIGTERM} <= set(HANDLED_SIGNALS), "Server.handle_exit drains on both"
    assert list(inspect.signature(Server.handle_exit).parameters) == ["self", "sig", "frame"], "Server.handle_exit"


async def test_a_tick_with_count_zero_renews_the_date_and_says_whether_to_end() -> None:
    server = Server(loaded_config())

    assert await server.on_tick(0) is False, "Server.main_loop goes on"
    assert b"date" in dict(server.server_state.default_headers), "Server.main_loop ticks with 0 only"
    server.should_exit = True
    assert await server.on_tick(0) is True, "Server.main_loop ends"


async def test_the_shutdown_calls_every_connection_and_waits_for_a_fraction_of_a_second() -> None:
    calls: list[str] = []

    class Connection:
        def shutdown(self) -> None:
            calls.append("shutdown")

    config = loaded_config(lifespan="off")
    config.timeout_graceful_shutdown = cast(Any, 0.01)  # Server.shutdown sets it so
    server = Server(config)
    server.servers = []
    server.lifespan = config.lifespan_class(config)
    server.server_state.connections.add(cast(Any, Connection()))
    await asyncio.wait_for(server.shutdown(), 10)

    assert calls == ["shutdown"], "UvicornWebSocket.shutdown is called by it"


# --- websockets -----------------------------------------------------------------------------------------------------


def test_a_websockets_protocol_has_the_attributes_that_the_codec_reads() -> None:
    assert missing(
        ServerProtocol(state=OPEN),
        {
            "parser_exc": "FrameCodec.is_reusable, and UvicornWebSocket tells a fault from a close by it",
            "current_size": "FrameCodec.recv_frame knows by it whether a message is in progress",
            "reader": "FrameCodec.recv_frame knows by its buffer whether a frame is in progress",
            "recv_frame": "FrameCodec.recv_frame sees every parsed frame",
            "debug": "FrameCodec keeps frames out of the log by it",
            "eof_sent": "UvicornWebSocket stops parsing by it",
            "close_rcvd": "UvicornWebSocket knows the peer's close code by it",
            "close_sent": "UvicornWebSocket logs and counts the code of a fault by it",
            "fail": "UvicornWebSocket.fail sends a close frame and ends the parsing",
        },
    ) == []  # fmt: skip


def test_what_follows_a_frame_waits_in_the_buffer_of_the_reader() -> None:
    codec = FrameCodec(65536)
    codec.receive_data(frame(1, b"x") + b"\x81")

    assert isinstance(codec.reader, StreamReader), "FrameCodec.recv_frame reads its buffer"
    assert codec.reader.buffer == b"\x81", "FrameCodec.is_reusable: a codec with bytes in it stays with its socket"
    assert codec.current_size is None, "FrameCodec.recv_frame: only fragments set it"


def test_the_size_of_a_message_in_fragments_is_set_until_its_end() -> None:
    codec = FrameCodec(65536)
    codec.receive_data(frame(1, b"ab", fin=False))
    assert codec.current_size == 2, "FrameCodec.recv_frame: a message is in progress"

    codec.receive_data(frame(0, b"c"))
    assert codec.current_size is None, "FrameCodec.recv_frame: the message is complete"


def test_the_frames_of_a_server_are_not_masked() -> None:
    assert Frame(Opcode.TEXT, b"Hello").serialize(mask=False) == b"\x81\x05Hello", "text_frame and PING are made by it"


def test_a_negotiator_may_answer_any_number_of_upgrades() -> None:
    negotiator = ServerProtocol()
    headers = Headers(
        {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        }
    )
    good, bad = Request("/ws", headers, "GET", "HTTP/1.1"), Request("/ws", Headers(), "GET", "HTTP/1.1")
    statuses = [negotiator.accept(request).status_code for request in (bad, good, bad, good)]

    assert statuses == [426, 101, 426, 101], "Upgrade.response negotiates every upgrade with one ServerProtocol"
    assert negotiator.reject(403, "no\n").status_code == 403, "refusal_response uses the same one"
