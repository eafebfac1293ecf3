"""The class for uvicorn's `ws` option, to which uvicorn hands every upgrade to WebSocket.

It opens a WebSocket of ours for upgrades to the gateway's path. All other upgrades, to the app's own WebSocket routes,
go to the class that uvicorn uses by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from uvicorn.config import WS_PROTOCOLS, Config
from uvicorn.importer import import_from_string
from uvicorn.server import ServerState

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.transports.uvicorn.upgrade import Upgrade
from hubbub.transports.uvicorn.websocket import UvicornWebSocket


class WebSocketProtocol(asyncio.Protocol):
    """The class for `uvicorn.Config(ws=...)`: hands the transport of one upgrade to the protocol that serves it.

    Under `hubbub run` only the class itself is used: `HttpProtocol` opens the WebSocket from the parsed headers,
    and no instance is made.
    """

    socket_class: ClassVar[type[UvicornWebSocket]] = UvicornWebSocket

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
        self._successor: asyncio.Protocol | None = None  # the protocol that serves the WebSocket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and the HTTP protocol that it had until now."""
        self._transport = cast(asyncio.Transport, transport)
        self._http: Any = self._transport.get_protocol()

    def data_received(self, data: bytes) -> None:
        """Serve the upgrade, which uvicorn has written out again as a request."""
        if self._successor is not None:
            self._successor.data_received(data)
            return
        upgrade = Upgrade.parse(data, self._http.scope["http_version"])
        admission: Admission | None = self._app_state.get(STATE_KEY)
        if admission is not None and upgrade.path == admission.path:
            self._successor = self.socket_class.open(
                upgrade, admission, self._transport, self._server_state, self._config
            )
        else:
            self._successor = default_protocol_class()(
                config=self._config, server_state=self._server_state, app_state=self._app_state
            )
            self._successor.connection_made(self._transport)
            self._successor.data_received(data)
        # When this returns, uvicorn makes this object the transport's protocol. One turn later we undo that.
        self._loop.call_soon(self._hand_over, self._successor)

    def _hand_over(self, successor: asyncio.Protocol) -> None:
        self._transport.set_protocol(successor)
        # The HTTP protocol and its parser refer to each other: each upgrade would be work for the garbage collector.
        self._http.parser = None

    def eof_received(self) -> bool | None:
        """Pass the call on."""
        return self._successor.eof_received() if self._successor else None

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the call on."""
        if self._successor:
            self._successor.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass the call on."""
        if self._successor:
            self._successor.pause_writing()

    def resume_writing(self) -> None:
        """Pass the call on."""
        if self._successor:
            self._successor.resume_writing()


def default_protocol_class() -> Any:
    """Return the class that uvicorn uses for WebSockets if its `ws` option is not set."""
    return import_from_string(WS_PROTOCOLS["auto"])
