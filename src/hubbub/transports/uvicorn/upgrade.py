"""A request to upgrade to WebSocket: what an authenticator sees of it, and how it is answered."""

from __future__ import annotations

import asyncio
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
"""Answers handshakes. `accept` keeps no state between two of them, so one object serves all."""

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
    """A request to upgrade, already parsed and checked by uvicorn's HTTP parser.

    Attributes:
        method: `GET`, unless the client did something wrong.
        protocol: The version that the client sent, such as `HTTP/1.1`.
        path: The path of the target, percent-decoded.
        query: What follows the question mark, as it was sent.
        headers: Names and values in the order they came; names in lower case.
    """

    method: str
    protocol: str
    path: str
    query: str
    headers: list[tuple[str, str]]

    @classmethod
    def from_parser(cls, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> Upgrade:
        """Return the upgrade that httptools has parsed; the caller has checked that it is HTTP/1.1."""
        path, _, query = target.decode("latin-1").partition("?")
        decoded = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        return cls(method.decode("latin-1"), "HTTP/1.1", unquote(path) if "%" in path else path, query, decoded)

    @classmethod
    def parse(cls, request: bytes, http_version: str = "1.1") -> Upgrade:
        """Return the upgrade in a request that uvicorn has written out again for its WebSocket protocol.

        Args:
            request: The request line and the headers, up to the empty line.
            http_version: The version that the client sent; uvicorn writes HTTP/1.1 into every request.
        """
        request_line, *lines = request.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, target, _ = request_line.split(" ", 2)
        path, _, query = target.partition("?")
        headers = []
        for line in lines:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        return cls(method, f"HTTP/{http_version}", unquote(path), query, headers)

    def handshake(self, transport: asyncio.BaseTransport, config: Config) -> Handshake:
        """Return what an authenticator sees, with what a trusted proxy says about the client."""
        client, scheme = client_address(transport), _scheme(config)
        if config.proxy_headers and any(name.startswith("x-forwarded-") for name, _ in self.headers):
            client, scheme = _apply_proxy_headers(config, client, scheme, self.headers)
        return Handshake(self.path, self.query, self.headers, client, scheme)

    def response(self) -> tuple[int, bytes]:
        """Return the status and the bytes of the response (RFC 6455 section 4.2.2).

        The upgrade that every browser and library sends is recognised by its headers and answered from a template
        (docs/decisions/0004). Every other one is negotiated by `websockets`, which knows all the ways to be wrong.
        """
        negotiated = [header for header in self.headers if header[0] in _NEGOTIATED]
        key = self._ordinary_key(negotiated)
        if key is not None:
            return 101, _SWITCHING % accept_key(key).encode()
        request = Request(path=self.path, headers=Headers(negotiated), method=self.method, protocol=self.protocol)
        response = _negotiator.accept(request)
        return response.status_code, response.serialize()

    def _ordinary_key(self, negotiated: list[tuple[str, str]]) -> str | None:
        """Return the key of an upgrade with nothing wrong and nothing to negotiate, or None."""
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


def refusal_response(refusal: Refusal) -> bytes:
    """Return the HTTP response to a request that is refused."""
    response = _negotiator.reject(refusal.status, refusal.message + "\n")
    response.headers.update(dict(refusal.headers))
    return response.serialize()


def client_address(transport: asyncio.BaseTransport) -> tuple[str, int] | None:
    """Return the peer's address; None on a Unix socket.

    uvicorn asks the socket object instead, which uvloop would have to make a copy of first (docs/decisions/0005).
    """
    address = transport.get_extra_info("peername")
    return (address[0], address[1]) if isinstance(address, tuple) else None


def _scheme(config: Config) -> Scheme:
    return "ws" if config.ssl is None else "wss"


def _apply_proxy_headers(
    config: Config, client: tuple[str, int] | None, scheme: Scheme, headers: Sequence[tuple[str, str]]
) -> tuple[tuple[str, int] | None, Scheme]:
    """Return client and scheme by uvicorn's own rule on proxy headers: its ASGI middleware never sees this upgrade."""
    scope: dict[str, Any] = {
        "type": "websocket",
        "client": client,
        "scheme": scheme,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }

    trusted = config.forwarded_allow_ips
    middleware = _proxy_middleware(trusted if isinstance(trusted, str) else tuple(trusted))
    with suppress(StopIteration):
        middleware(scope, None, None).send(None)  # one step runs all of it: nothing in it waits
    return scope["client"], scope["scheme"]


@lru_cache(maxsize=4)
def _proxy_middleware(trusted: str | tuple[str, ...]) -> Any:
    async def app(scope: object, receive: object, send: object) -> None: ...

    return ProxyHeadersMiddleware(app, trusted_hosts=trusted if isinstance(trusted, str) else list(trusted))
