"""Which web pages may open a socket.

A browser lets any page on the web open a WebSocket to any server, and sends that server's cookies with it (cross-site
WebSocket hijacking). The Origin header protects the user, because a page cannot forge it: RFC 6455 section 10.2.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from hubbub.auth.authenticator import Handshake
from hubbub.errors import ConfigurationError

_AUTHORITY: Final = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?"
_ORIGIN: Final = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]*)://{_AUTHORITY}")
_HOST: Final = re.compile(_AUTHORITY)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _Origin(NamedTuple):
    """A scheme, a host and a port (RFC 6454), normalised so that equal origins compare equal."""

    scheme: str
    host: str
    port: int | None


class OriginPolicy:
    """A rule for which pages may open a socket, by their Origin header. Others get HTTP 403.

    A request without an Origin does not come from a browser, and is allowed unless the cookie is its only credential.

    Args:
        allowed: Whole origins such as `https://app.example`, compared exactly. The list is then the whole policy, so
            name the server's own origin too. If it is empty, only pages of the host (and port) in the request's Host
            header are allowed. `*` anywhere in it turns the check off: every page on the web can then act with the
            cookies of a visitor, so use it only with an authenticator that reads no cookie.

    Raises:
        ConfigurationError: If an entry is not an origin.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        if isinstance(allowed, str):
            raise ConfigurationError(f'allowed_origins takes a list, such as ["https://app.example"], not {allowed!r}')
        self._allows_all = "*" in allowed
        self._allowed = frozenset(_parse_allowed(entry) for entry in allowed if entry != "*")

    def refusal(self, handshake: Handshake) -> str | None:
        """Return why the handshake must be refused, for the log, or None if it is allowed."""
        if self._allows_all:
            return None
        values = handshake.headers_named("origin")
        if not values:
            if handshake.header("cookie") is not None and not _has_token(handshake):
                return "no Origin, and the cookie is the only credential"
            return None
        if len(values) > 1:
            return "more than one Origin"
        origin = _parse_origin(values[0])
        if origin is None:
            return f"Origin {values[0][:100]!r} is not an origin"
        if origin in self._allowed or (not self._allowed and origin == _own_origin(handshake, origin.scheme)):
            return None
        expected = "among the allowed origins" if self._allowed else "the server's own host"
        return f"Origin {values[0][:100]!r} is not {expected}"


def _has_token(handshake: Handshake) -> bool:
    """Return whether a token came in a header, which a page of another site cannot set."""
    scheme, _, token = (handshake.header("authorization") or "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def _parse_origin(text: str) -> _Origin | None:
    match = _ORIGIN.fullmatch(text)
    return _normalise(*match.groups()) if match else None


def _own_origin(handshake: Handshake, scheme: str) -> _Origin | None:
    """Return the Host header as an origin of a scheme. A proxy may end TLS, so the server does not know its own."""
    hosts = handshake.headers_named("host")
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return _normalise(scheme, *match.groups()) if match else None


def _normalise(scheme: str, host: str, port: str | None) -> _Origin:
    scheme = scheme.lower()
    return _Origin(scheme, host.lower(), int(port) if port else _DEFAULT_PORTS.get(scheme))


def _parse_allowed(entry: str) -> _Origin:
    origin = _parse_origin(entry)
    if origin is None:
        raise ConfigurationError(
            f"{entry!r} in allowed_origins is not an origin: write scheme://host or scheme://host:port, without a path "
            "or a trailing slash, such as https://app.example"
        )
    return origin
