"""The class for uvicorn's `http` option: limits on the head of a request, and a direct way for upgrades.

A connection begins with nothing but a parser. An upgrade to the gateway's path needs no more. For every other request
the connection gets the rest of what uvicorn has, and uvicorn serves it as usual (docs/decisions/0005).
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
from hubbub.transports.uvicorn.upgrade import Upgrade, client_address, refusal_response
from hubbub.transports.uvicorn.websocket_protocol import WebSocketProtocol, default_protocol_class

logger = logging.getLogger("hubbub.http")


class HttpProtocol(HttpToolsProtocol):
    """The class for `uvicorn.Config(http=...)`: one HTTP connection, which may turn into a WebSocket."""

    # What is read before uvicorn's __init__ has run, or before a request has begun.
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
        # No super().__init__(): it is half of the cost of a connection, and an upgrade does not need it. See
        # _initialize_uvicorn.
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.ws_protocol_class = config.ws_protocol_class
        self._loop = _loop
        self._shared = _Shared.of(config, server_state, app_state)
        self._is_initialized = False  # as uvicorn's own class
        self._in_head = True
        self._unparsed_bytes = 0  # received since the parser last got to the end of something
        self._is_upgrade = False
        self._is_refused = False
        self._refusal: Refusal | None = None  # found in a callback of the parser
        self._close_timer: Timer | None = None

    # --- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request, for `Limits.header_seconds`."""
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.server_state.connections.add(self)
        self._shared.waiting.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection holds: its transport is closed."""
        self._shared.waiting.discard(self)
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._is_initialized:
            super().connection_lost(exc)
        self.server_state.connections.discard(self)
        self.parser = cast(Any, None)

    def pause_writing(self) -> None:
        """Let the app wait: the peer reads slowly."""
        if self._is_initialized:
            super().pause_writing()

    def resume_writing(self) -> None:
        """Let the app go on: the peer has caught up."""
        if self._is_initialized:
            super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._unparsed_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(len(data) - upgrade.args[0])
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or request_limits.refusal_for_error(error))
        else:
            refusal = request_limits.check_partial_head(self.url, self._unparsed_bytes, self._shared.limits)
            if refusal is not None:
                self._refuse(refusal)
            elif self._in_head and not self._is_app_busy:
                self._shared.waiting.add(self)

    # --- callbacks of the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request. Its headers will say whether it is for the app."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Refuse a head over the limits; pass the request to the app, unless it is an upgrade."""
        self._refusal = request_limits.check_head(self.url, self.headers, self._shared.limits)
        if self._refusal is not None:
            raise _HeadRefused  # stops the parser, which then raises an error of its own
        self._in_head = False
        self._shared.waiting.discard(self)
        if self.parser.should_upgrade() and self._should_upgrade():
            self._is_upgrade = True
            return
        self._unparsed_bytes = 0
        self._initialize_uvicorn()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body to the app."""
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request: what follows is the head of the next one."""
        if not self._is_upgrade:
            self._unparsed_bytes = 0
            self._in_head = True
            super().on_message_complete()

    def _initialize_uvicorn(self) -> None:
        """Bring this object into the state in which uvicorn's own class would be at this point."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        if not self._is_initialized:
            self._is_initialized = True
            parser, transport = self.parser, self.transport
            super().__init__(self.config, self.server_state, self.app_state, self._loop)
            self.parser = parser
            super().connection_made(transport)
        super().on_message_begin()
        self.url = url
        self.headers += headers  # the scope has this list
        self.expect_100_continue = expects

    # --- upgrades and refusals ----------------------------------------------------------------------------------------

    def _upgrade(self, early_bytes: int) -> None:
        """Handle a request for another protocol, whose head is complete.

        Args:
            early_bytes: How many bytes came together with the head, after it.
        """
        if not self._is_upgrade:
            self._unsupported_upgrade_warning()
            self.cycle.keep_alive = False  # the parser does not go on after it
        elif self.parser.get_http_version() != "1.1":
            self._refuse(request_limits.WRONG_VERSION)
        elif early_bytes:
            self._refuse(request_limits.EARLY_DATA)
        else:
            self.handle_websocket_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Open a WebSocket of ours at the gateway's path; leave every other path to uvicorn's class for the app's."""
        shared = self._shared
        upgrade = Upgrade.from_parser(self.parser.get_method(), self.url, self.headers)
        self.parser = cast(Any, None)  # it refers to this object: the cycle would be work for the garbage collector
        if shared.admission is None or upgrade.path != shared.admission.path:
            self._initialize_uvicorn()
            self.scope["method"] = upgrade.method
            if shared.is_ws_ours:
                self.ws_protocol_class = default_protocol_class()
            super().handle_websocket_upgrade()
        else:
            self.server_state.connections.discard(self)
            shared.socket_class.open(upgrade, shared.admission, self.transport, self.server_state, self.config)

    def head_timed_out(self) -> None:
        """End the connection: no complete head has arrived in time."""
        if self._unparsed_bytes:
            self._refuse(request_limits.TIMEOUT)
        else:  # a connection opened in advance, as browsers do: no fault, and nothing to answer
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer with an error, and end the connection."""
        shared, transport = self._shared, self.transport
        self._is_refused = True
        shared.waiting.discard(self)
        if shared.services is not None:
            shared.services.stats.refusals[request_limits.REASONS[refusal]] += 1
        logger.info("refused with %d: %s (from %s)", refusal.status, refusal.message, client_address(transport))
        if self._is_app_busy:  # the peer would take this for the response to the request before
            transport.close()
            return
        transport.write(refusal_response(refusal))
        # Bytes that we never read would turn our close into a reset, and the response would be lost.
        # So only our side is closed, and what still arrives is read and thrown away for a while.
        if transport.can_write_eof() and refusal is not request_limits.TIMEOUT:
            transport.write_eof()
            self._close_timer = shared.clock.call_later(shared.limits.close_seconds, transport.abort)
        else:
            transport.close()

    @property
    def _is_app_busy(self) -> bool:
        """Whether the app has not yet answered a request."""
        return self.cycle is not None and not self.cycle.response_complete


class _HeadRefused(Exception):
    """The head of a request is refused."""


class _Shared:
    """What all connections of one server share."""

    __slots__ = ("admission", "clock", "is_ws_ours", "limits", "services", "socket_class", "waiting")

    _by_server: Final[WeakKeyDictionary[ServerState, _Shared]] = WeakKeyDictionary()

    def __init__(self, config: Config, app_state: dict[str, Any]) -> None:
        admission: Admission | None = app_state.get(STATE_KEY)
        ws = config.ws_protocol_class
        ours = ws if isinstance(ws, type) and issubclass(ws, WebSocketProtocol) else None
        self.admission = None if ours is None else admission
        self.socket_class = (ours or WebSocketProtocol).socket_class
        self.is_ws_ours = ours is not None
        self.services = None if admission is None else admission.services
        self.limits = Limits() if admission is None else admission.services.limits
        self.clock: Clock = SystemClock() if admission is None else admission.services.clock
        self.waiting: Deadlines[HttpProtocol] = Deadlines(
            self.limits.header_seconds, self.clock, HttpProtocol.head_timed_out
        )

    @classmethod
    def of(cls, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> _Shared:
        shared = cls._by_server.get(server_state)
        if shared is None:
            shared = cls._by_server[server_state] = cls(config, app_state)
        return shared
