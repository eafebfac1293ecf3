"""Which web pages may open a socket.

A browser lets any page on the web open a WebSocket to any server and sends that server's cookies along (cross-site
WebSocket hijacking). What protects the user is the Origin header, which a page cannot forge: RFC 6455 section 10.2.
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
    """A scheme, a host and a port (RFC 6454), so that equal origins compare equal however they were written."""

    scheme: str
    host: str
    port: int | None


class OriginPolicy:
    """Decides by the Origin header whether a page may open a socket; the answer to a refused one is HTTP 403.

    allowed: whole origins such as ``https://app.example``, compared exactly; the list is then the whole policy, so
    name the server's own origin too. Empty, the default: only pages of the host (and port) that the request's Host
    header names. ``*`` anywhere in it turns the check off: every page on the web can then act with the cookies of a
    visitor, so it is only for authenticators that read no cookie.

    No Origin means no browser, and is fine unless the cookie is the only credential.

    Raises ConfigurationError where an entry is no origin.
    """

    def __init__(self, allowed: Collection[str] = ()) -> None:
        if isinstance(allowed, str):
            raise ConfigurationError(f'allowed_origins takes a list, such as ["https://app.example"], not {allowed!r}')
        self._allows_all = "*" in allowed
        self._allowed = frozenset(_configured(entry) for entry in allowed if entry != "*")

    def refusal(self, handshake: Handshake) -> str | None:
        """Says why the handshake must be refused, for the log, or None where it may go on."""
        if self._allows_all:
            return None
        values = handshake.headers_named("origin")
        if not values:
            if handshake.header("cookie") is not None and not _has_token(handshake):
                return "no Origin, and the cookie is the credential"
            return None
        if len(values) > 1:
            return "more than one Origin"
        origin = _parse(values[0])
        if origin is None:
            return f"Origin {values[0][:100]!r} is not an origin"
        if origin in self._allowed or (not self._allowed and origin == _own(handshake, origin.scheme)):
            return None
        expected = "among the allowed origins" if self._allowed else "the server's own host"
        return f"Origin {values[0][:100]!r} is not {expected}"


def _has_token(handshake: Handshake) -> bool:
    """Tells whether a token came in a header, which no page of another site can set."""
    scheme, _, token = (handshake.header("authorization") or "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def _parse(text: str) -> _Origin | None:
    match = _ORIGIN.fullmatch(text)
    return _origin(*match.groups()) if match else None


def _own(handshake: Handshake, scheme: str) -> _Origin | None:
    """Reads the Host header as an origin of that scheme: TLS may end at a proxy, so the server cannot know its own."""
    hosts = handshake.headers_named("host")
    match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return _origin(scheme, *match.groups()) if match else None


def _origin(scheme: str, host: str, port: str | None) -> _Origin:
    scheme = scheme.lower()
    return _Origin(scheme, host.lower(), int(port) if port else _DEFAULT_PORTS.get(scheme))


def _configured(entry: str) -> _Origin:
    origin = _parse(entry)
    if origin is None:
        raise ConfigurationError(
            f"{entry!r} in allowed_origins is not an origin: write scheme://host or scheme://host:port, without a path "
            "or a trailing slash, such as https://app.example"
        )
    return origin
