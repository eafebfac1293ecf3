"""WebSockets on uvicorn's own port, straight on its transports: no task, queue or timer for a socket at rest.

uvicorn hands every upgrade to the class that its ``ws`` option names. ``WebSocketProtocol`` is that class: it keeps the
upgrades to the gateway's path and leaves all others, the app's own WebSocket routes, to uvicorn's usual class.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.config import WS_PROTOCOLS, Config
from uvicorn.importer import import_from_string
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.transports.uvicorn.upgrade import Scheme, Upgrade
from hubbub.transports.uvicorn.websocket import SocketProtocol


class WebSocketProtocol(asyncio.Protocol):
    """Is the class for ``uvicorn.Config(ws=...)``: takes one upgrade in, and hands the transport to who serves it."""

    socket_class: ClassVar[type[SocketProtocol]] = SocketProtocol

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._server: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is handed the transport by uvicorn's HTTP protocol."""
        self._transport = cast(asyncio.Transport, transport)
        self._http: Any = self._transport.get_protocol()

    def data_received(self, data: bytes) -> None:
        """Is handed the request, written out again by uvicorn; later calls belong to who serves the socket."""
        if self._server is not None:
            self._server.data_received(data)
            return
        upgrade = Upgrade.parse(data)
        admission: Admission | None = self._app_state.get(STATE_KEY)
        if admission is not None and upgrade.path == admission.path:
            socket = self._server = self.socket_class(admission, self._server_state, self._transport)
            scheme: Scheme = "wss" if is_ssl(self._transport) else "ws"
            # Written out again, every request says HTTP/1.1.
            upgrade = upgrade._replace(protocol="HTTP/" + self._http.scope["http_version"])
            socket.handshake(upgrade, upgrade.handshake(self._http.client, scheme, self._config))
        else:
            protocol_class = import_from_string(WS_PROTOCOLS["auto"])
            self._server = protocol_class(
                config=self._config, server_state=self._server_state, app_state=self._app_state
            )
            self._server.connection_made(self._transport)
            self._server.data_received(data)
        # uvicorn makes this object the transport's protocol when we return; one turn later we are out of the way.
        self._loop.call_soon(self._hand_over, self._server)

    def _hand_over(self, server: asyncio.Protocol) -> None:
        self._transport.set_protocol(server)
        # The HTTP protocol and its parser hold each other: left alone, each upgrade is work for the garbage collector.
        self._http.parser = None

    def eof_received(self) -> bool | None:
        """Passes on."""
        return self._server.eof_received() if self._server else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Passes on."""
        if self._server:
            self._server.connection_lost(exc)

    def pause_writing(self) -> None:
        """Passes on."""
        if self._server:
            self._server.pause_writing()

    def resume_writing(self) -> None:
        """Passes on."""
        if self._server:
            self._server.resume_writing()
