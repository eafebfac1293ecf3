"""uvicorn's HTTP protocol with limits on the head of a request, and with a short way for upgrades.

A connection begins with nothing but a parser. A request for the app then gets the whole of uvicorn's machinery, and is
served as ever; an upgrade to the gateway's path never needs it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from hubbub.clock import Clock, SystemClock, Timer
from hubbub.connections.admission import STATE_KEY, Admission, Refusal
from hubbub.connections.deadlines import Deadlines
from hubbub.limits import Limits
from hubbub.transports.uvicorn import request_limits
from hubbub.transports.uvicorn.protocol import WebSocketProtocol
from hubbub.transports.uvicorn.upgrade import Scheme, Upgrade, refused

logger = logging.getLogger("hubbub.http")


class HttpProtocol(HttpToolsProtocol):
    """Is the class for ``uvicorn.Config(http=...)``: one HTTP connection, which may turn into a WebSocket."""

    # What is looked at before uvicorn's __init__ has run, or before a request has begun.
    cycle: Any = None
    timeout_keep_alive_task: asyncio.TimerHandle | None = None
    url = b""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Not super().__init__(): half of the cost of a connection, of no use to an upgrade. See _begin.
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.ws_protocol_class = config.ws_protocol_class
        self._loop = _loop
        self._shared = _Shared.of(config, server_state, app_state)
        self._has_begun = False
        self._in_head = True
        self._unread = 0  # bytes since the parser last got to the end of something
        self._is_upgrade = False
        self._is_refused = False
        self._fault: Refusal | None = None  # found in a callback of the parser
        self._close_timer: Timer | None = None

    # --- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is handed a new connection, which has so long to send a request."""
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.server_state.connections.add(self)
        self._shared.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Is told that the connection is gone."""
        self._shared.waiting.discard(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._has_begun:
            super().connection_lost(exc)
        self.server_state.connections.discard(self)
        self.parser = cast(Any, None)

    def pause_writing(self) -> None:
        """Is told that the peer reads slowly."""
        if self._has_begun:
            super().pause_writing()

    def resume_writing(self) -> None:
        """Is told that the peer has caught up."""
        if self._has_begun:
            super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._unread += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(len(data) - upgrade.args[0])
        except httptools.HttpParserError as error:
            self._refuse(self._fault or request_limits.fault_of(error))
        else:
            fault = request_limits.fault_of_part(self.url, self._unread, self._shared.limits)
            if fault is not None:
                self._refuse(fault)
            elif self._in_head and not self._is_answering:
                self._shared.waiting.add(self)

    # --- what the parser finds ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Is told that a request begins; whose it is, its headers will tell."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Is told that the head is complete. What is no upgrade is for the app."""
        self._fault = request_limits.fault(self.url, self.headers, self._shared.limits)
        if self._fault is not None:
            raise _Refused  # stops the parser, which then raises an error of its own
        self._in_head = False
        self._shared.waiting.discard(self)
        if self.parser.should_upgrade() and self._should_upgrade():
            self._is_upgrade = True
            return
        self._unread = 0
        self._begin()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Is told of a part of the body."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Is told that a request has ended: what follows is the head of the next one."""
        if not self._is_upgrade:
            self._unread = 0
            self._in_head = True
            super().on_message_complete()

    def _begin(self) -> None:
        """Makes of this object what uvicorn would have made of it up to here."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        if not self._has_begun:
            self._has_begun = True
            parser, transport = self.parser, self.transport
            super().__init__(self.config, self.server_state, self.app_state, self._loop)
            self.parser = parser
            super().connection_made(transport)
        super().on_message_begin()
        self.url = url
        self.headers += headers  # the scope has this list
        self.expect_100_continue = expects

    # --- what becomes of a request that is not the app's --------------------------------------------------------------

    def _upgrade(self, more: int) -> None:
        """Is called after the head of a request for another protocol. more: bytes that came with it."""
        if not self._is_upgrade:
            self._unsupported_upgrade_warning()
            self.cycle.keep_alive = False  # the parser does not go on after it
        elif self.parser.get_http_version() != "1.1":
            self._refuse(request_limits.OTHER_VERSION)
        elif more:
            self._refuse(request_limits.TOO_SOON)
        else:
            self.handle_websocket_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection to who serves the socket: to Hubbub at the gateway's path, elsewhere to uvicorn."""
        admission = self._shared.admission
        upgrade = Upgrade.of(self.parser.get_method(), self.url, self.headers)
        if admission is None or upgrade.path != admission.path:
            self._begin()
            self.scope["method"] = upgrade.method
            super().handle_websocket_upgrade()
            return
        self.server_state.connections.discard(self)
        self.parser = cast(Any, None)  # they hold each other, which would be work for the garbage collector
        client = _peer(self.transport)
        socket = self._shared.socket_class(admission, self.server_state, self.transport)
        self.transport.set_protocol(socket)
        socket.handshake(upgrade, upgrade.handshake(client, self._shared.scheme, self.config))

    def late(self) -> None:
        """Is told that no head has arrived in time."""
        if self._unread:
            self._refuse(request_limits.TIMEOUT)
        else:  # a connection opened in advance, as browsers do: no fault, and nothing to answer
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answers with an error, and ends the connection."""
        shared, transport = self._shared, self.transport
        self._is_refused = True
        shared.waiting.discard(self)
        if shared.services is not None:
            shared.services.stats.refusals[request_limits.REASONS[refusal]] += 1
        logger.info("refused with %d: %s (from %s)", refusal.status, refusal.message, _peer(transport))
        if self._is_answering:  # the peer would take this for the answer to the request before
            transport.close()
            return
        transport.write(refused(refusal))
        # Bytes that we never read would turn our close into a reset, and lose the response.
        # So only our side is closed, and what still arrives is read and thrown away for a while.
        if transport.can_write_eof() and refusal is not request_limits.TIMEOUT:
            transport.write_eof()
            self._close_timer = shared.clock.call_later(shared.limits.close_seconds, transport.abort)
        else:
            transport.close()

    @property
    def _is_answering(self) -> bool:
        """Tells whether a request is with the app."""
        return self.cycle is not None and not self.cycle.response_complete


def _peer(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Gives host and port of the peer. uvicorn asks the socket, of which uvloop would have to make a copy first."""
    address = transport.get_extra_info("peername")
    return (address[0], address[1]) if isinstance(address, tuple) else None


class _Refused(Exception):
    """A head is refused."""


class _Shared:
    """What all connections of one server have in common."""

    __slots__ = ("admission", "clock", "limits", "scheme", "services", "socket_class", "waiting")

    _by_server: Final[WeakKeyDictionary[ServerState, _Shared]] = WeakKeyDictionary()

    def __init__(self, config: Config, app_state: dict[str, Any]) -> None:
        found: Admission | None = app_state.get(STATE_KEY)
        ws = config.ws_protocol_class
        ours = ws if isinstance(ws, type) and issubclass(ws, WebSocketProtocol) else None
        self.admission = None if ours is None else found
        self.socket_class = (ours or WebSocketProtocol).socket_class
        self.services = None if found is None else found.services
        self.limits = Limits() if found is None else found.services.limits
        self.clock: Clock = SystemClock() if found is None else found.services.clock
        self.waiting: Deadlines[HttpProtocol] = Deadlines(self.limits.header_seconds, self.clock, HttpProtocol.late)
        self.scheme: Scheme = "ws" if config.ssl is None else "wss"

    @classmethod
    def of(cls, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> _Shared:
        shared = cls._by_server.get(server_state)
        if shared is None:
            shared = cls._by_server[server_state] = cls(config, app_state)
        return shared
