"""A request to upgrade to WebSocket: what an authenticator sees of it, and how it is answered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from hubbub.auth.authenticator import Handshake
from hubbub.connections.admission import Refusal

Scheme = Literal["ws", "wss"]

_negotiator: Final = ServerProtocol()
"""Answers handshakes. ``accept`` keeps nothing that the next one would see, so one serves all."""

_NEGOTIATED: Final = frozenset(
    {
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "origin",  # which may not come twice
    }
)
_ORDINARY_CONNECTIONS: Final = frozenset({"upgrade", "keep-alive, upgrade"})
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")  # sixteen bytes
_SWITCHING: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
)


class Upgrade(NamedTuple):
    """A request to upgrade, as uvicorn's HTTP parser has taken it apart and checked it: header names in lower case."""

    method: str
    protocol: str
    path: str
    query: str
    headers: list[tuple[str, str]]

    @classmethod
    def parse(cls, data: bytes) -> Upgrade:
        """Reads the request that uvicorn has written out again for its WebSocket protocol."""
        request_line, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, protocol = request_line.split(" ", 2)
        path, _, query = target.partition("?")
        headers = []
        for line in lines:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        return cls(method, protocol, unquote(path), query, headers)

    @classmethod
    def of(cls, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> Upgrade:
        """Takes over an HTTP/1.1 request from the HTTP parser."""
        path, _, query = target.decode("latin-1").partition("?")
        named = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return cls(method.decode("latin-1"), "HTTP/1.1", unquote(path) if "%" in path else path, query, named)

    def handshake(self, client: tuple[str, int] | None, scheme: Scheme, config: Config) -> Handshake:
        """Gives what an authenticator sees, with what a trusted proxy says of the client."""
        if config.proxy_headers and any(name.startswith("x-forwarded-") for name, _ in self.headers):
            client, scheme = _behind_proxy(config, client, scheme, self.headers)
        return Handshake(self.path, self.query, self.headers, client, scheme)

    def answer(self) -> tuple[int, bytes]:
        """Gives the status and the bytes of the response (RFC 6455 section 4.2.2).

        The upgrade that every browser and library sends is recognised by its headers and answered from a template.
        Whatever else comes is negotiated by ``websockets``, which knows all the ways to be wrong.
        """
        negotiated = [header for header in self.headers if header[0] in _NEGOTIATED]
        key = self._ordinary_key(negotiated)
        if key is not None:
            return 101, _SWITCHING % accept_key(key).encode()
        request = Request(path=self.path, headers=Headers(negotiated), method=self.method, protocol=self.protocol)
        response = _negotiator.accept(request)
        return response.status_code, response.serialize()

    def _ordinary_key(self, negotiated: list[tuple[str, str]]) -> str | None:
        """Gives the key of an upgrade with which nothing is wrong and about which nothing is to be negotiated."""
        named = dict(negotiated)
        key = named.get("sec-websocket-key", "")
        is_ordinary = (
            self.method == "GET"
            and self.protocol == "HTTP/1.1"
            and len(named) == len(negotiated)  # none of them twice
            and named.get("upgrade", "").lower() == "websocket"
            and named.get("connection", "").lower() in _ORDINARY_CONNECTIONS
            and named.get("sec-websocket-version") == "13"
            and "sec-websocket-protocol" not in named
            and _KEY.fullmatch(key) is not None
        )
        return key if is_ordinary else None


def refused(refusal: Refusal) -> bytes:
    """Writes the HTTP response to an upgrade that is refused."""
    response = _negotiator.reject(refusal.status, refusal.message + "\n")
    response.headers.update(dict(refusal.headers))
    return response.serialize()


def _behind_proxy(
    config: Config, client: tuple[str, int] | None, scheme: Scheme, headers: Sequence[tuple[str, str]]
) -> tuple[tuple[str, int] | None, Scheme]:
    """Applies uvicorn's own rule on proxy headers, which as ASGI middleware does not see this upgrade."""
    scope: dict[str, Any] = {
        "type": "websocket",
        "client": client,
        "scheme": scheme,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }

    trusted = config.forwarded_allow_ips
    middleware = _proxy_middleware(trusted if isinstance(trusted, str) else tuple(trusted))
    with suppress(StopIteration):
        middleware(scope, None, None).send(None)  # runs to its end at once: nothing in it waits
    return scope["client"], scope["scheme"]


@lru_cache(maxsize=4)
def _proxy_middleware(trusted: str | tuple[str, ...]) -> Any:
    async def app(scope: object, receive: object, send: object) -> None: ...

    return ProxyHeadersMiddleware(app, trusted_hosts=trusted if isinstance(trusted, str) else list(trusted))
