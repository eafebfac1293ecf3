"""How a gateway lives with an ASGI app: beside its lifespan, and on guard at its own paths."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any, Final, Protocol

from hubbub.lifespan import ASGIApp, Lifespan, Receive, Send, Startable

logger = logging.getLogger("hubbub.gateway")

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")

REMEDY: Final = (
    "this server does not speak Hubbub's transport. Serve the app with `hubbub run main:app`, or with "
    "`uvicorn main:app --ws hubbub:WebSocketProtocol`, and with lifespan on"
)


class Attachable(Startable, Protocol):
    """What of a gateway an app is concerned with."""

    path: str
    asyncapi_path: str | None

    def asyncapi(self, url: str, title: str, version: str) -> str:
        """Describes the endpoint at ``url`` as an AsyncAPI document."""


def attach(gateway: Attachable, app: ASGIApp) -> ASGIApp:
    """Adds the gateway to a Starlette app in place, or wraps any other app; gives the app to serve."""
    if hasattr(app, "add_middleware"):
        app.add_middleware(GatewayMiddleware, gateway=gateway)
        return app
    return GatewayMiddleware(app, gateway)


class GatewayMiddleware:
    """Runs a gateway around an app's lifespan."""

    def __init__(self, app: ASGIApp, gateway: Attachable) -> None:
        self.app = app
        self.gateway = gateway
        self._has_failed = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one ASGI scope."""
        if scope["type"] == "lifespan":
            await Lifespan(self.gateway, scope, receive, send).run(self.app)
        elif scope["type"] == "websocket" and _is_at(scope, self.gateway.path):
            await self._fail_loudly(scope, receive, send)
        elif (
            scope["type"] == "http" and scope["method"] in {"GET", "HEAD"} and _is_at(scope, self.gateway.asyncapi_path)
        ):
            await self._describe(scope, send)
        else:
            await self.app(scope, receive, send)

    async def _describe(self, scope: MutableMapping[str, Any], send: Send) -> None:
        """Serves the contract as the gateway speaks it, beside the app's own OpenAPI document."""
        app = scope.get("app")
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if not _HOST.fullmatch(host):
            host = "localhost"
        url = f"{'wss' if scope['scheme'] == 'https' else 'ws'}://{host}{scope.get('root_path', '')}{self.gateway.path}"
        text = self.gateway.asyncapi(url, getattr(app, "title", "Events"), str(getattr(app, "version", "1.0.0")))
        body = text.encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _fail_loudly(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers an upgrade that came the ordinary ASGI way: nobody must believe that it nearly works."""
        level = logging.DEBUG if self._has_failed else logging.ERROR
        self._has_failed = True
        logger.log(level, "WebSocket at %s refused: %s", scope["path"], REMEDY)
        await receive()
        if "websocket.http.response" in scope.get("extensions", {}):
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "websocket.http.response.start", "status": 500, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": f"Hubbub: {REMEDY}\n".encode()})
        else:
            await send({"type": "websocket.close"})


def _is_at(scope: MutableMapping[str, Any], path: str | None) -> bool:
    return path is not None and scope["path"] == scope.get("root_path", "") + path
