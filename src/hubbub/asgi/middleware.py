"""The ASGI middleware that runs a gateway beside an app, and serves the gateway's own paths."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import MutableMapping, Sequence
from typing import Any, Final, Protocol

from hubbub.asgi.lifespan import LateStart, Lifespan, Startable
from hubbub.connections.admission import Admission, Refusal
from hubbub.transports.asgi import ASGIApp, AsgiWebSocket, Receive, Send, refuse

logger = logging.getLogger("hubbub.gateway")

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

PLAIN_ASGI_WARNING: Final = (
    "%s is served over plain ASGI: it works, and costs several times the memory and CPU. The faster way: "
    "`hubbub run main:app`, or `uvicorn main:app --ws hubbub:WebSocketProtocol`, with lifespan on"
)

UPGRADE_REQUIRED: Final = Refusal(
    426,  # RFC 9110 section 15.5.22
    "a WebSocket is opened here: the request asks for no upgrade. A proxy in front has to pass Upgrade and Connection",
    (("Upgrade", "websocket"), ("Connection", "Upgrade")),
)
METHOD_NOT_ALLOWED: Final = Refusal(405, "a WebSocket is opened here, with GET", (("Allow", "GET"),))
NOT_RUNNING: Final = Refusal(503, "the gateway does not run", (("Retry-After", "1"),))


class Attachable(Startable, Protocol):
    """What the middleware needs of a gateway."""

    path: str
    asyncapi_path: str | None

    def asyncapi(self, url: str, title: str, version: str) -> str:
        """Return the AsyncAPI document of the endpoint at `url`."""


def attach(gateway: Attachable, app: ASGIApp) -> ASGIApp:
    """Add the gateway to a Starlette app in place, or wrap any other app; return the app to serve."""
    if hasattr(app, "add_middleware"):
        app.add_middleware(GatewayMiddleware, gateway=gateway)
        return app
    return GatewayMiddleware(app, gateway)


class GatewayMiddleware:
    """Runs a gateway beside an app, and serves the gateway's own paths."""

    def __init__(self, app: ASGIApp, gateway: Attachable) -> None:
        self.app = app
        self.gateway = gateway
        self._late_start = LateStart(gateway)
        self._lifespan_loop: asyncio.AbstractEventLoop | None = None  # the loop in which a lifespan starts the gateway
        self._has_warned = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            self._lifespan_loop = asyncio.get_running_loop()
            await Lifespan(self.gateway, scope, receive, send).run(self.app)
            return
        if "state" not in scope:  # the server has no lifespan: the app may call notify before the first socket comes
            await self._admission()
        if scope["type"] == "websocket" and _is_at(scope, self.gateway.path):
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "http" and _is_at(scope, self.gateway.path):
            refusal = UPGRADE_REQUIRED if scope["method"] in {"GET", "HEAD"} else METHOD_NOT_ALLOWED
            await _respond(
                scope, send, refusal.status, f"{refusal.message}\n", "text/plain; charset=utf-8", refusal.headers
            )
        elif (
            scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and _is_at(scope, self.gateway.asyncapi_path)
        ):
            await self._serve_asyncapi(scope, send)
        else:
            await self.app(scope, receive, send)

    async def _serve_websocket(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve a socket over plain ASGI: no transport of ours has taken the upgrade before."""
        admission = await self._admission()
        if admission is None:
            await receive()
            await refuse(NOT_RUNNING, scope, send)
            return
        if not self._has_warned:
            self._has_warned = True
            logger.warning(PLAIN_ASGI_WARNING, scope["path"])
        await AsgiWebSocket(admission, receive, send).serve(scope)

    async def _admission(self) -> Admission | None:
        """Return the admission, after starting the gateway if no lifespan does; None, logged, if it cannot start."""
        if self._lifespan_loop is asyncio.get_running_loop():
            return self.gateway.admission
        try:
            return await self._late_start.admission()
        except Exception:
            logger.exception("the gateway could not be started")  # REST works without it
            return None

    async def _serve_asyncapi(self, scope: MutableMapping[str, Any], send: Send) -> None:
        """Serve the gateway's AsyncAPI document, beside the app's own OpenAPI document."""
        app = scope.get("app")
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not _HOST.fullmatch(host):
            host = "localhost"
        url = f"{'wss' if scope['scheme'] == 'https' else 'ws'}://{host}{scope.get('root_path', '')}{self.gateway.path}"
        text = self.gateway.asyncapi(url, getattr(app, "title", "Events"), str(getattr(app, "version", "1.0.0")))
        await _respond(scope, send, 200, text, "application/json")


async def _respond(
    scope: MutableMapping[str, Any],
    send: Send,
    status: int,
    text: str,
    media_type: str,
    headers: Sequence[tuple[str, str]] = (),
) -> None:
    """Answer an HTTP request; HEAD with the headers alone."""
    body = text.encode()
    fields = [("content-type", media_type), ("content-length", str(len(body))), *headers]
    encoded = [(name.lower().encode(), value.encode()) for name, value in fields]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _is_at(scope: MutableMapping[str, Any], path: str | None) -> bool:
    return path is not None and scope["path"] == scope.get("root_path", "") + path
