"""What an authenticator gets, the opening handshake, and what it returns, an identity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from hubbub.contract.topics import is_valid_id
from hubbub.errors import Unauthorized

# Seconds since the epoch, in the year 5138. Infinity and numbers too large for a float are not valid expiry times.
_MAX_TIME: Final = 1e11


@dataclass(frozen=True, slots=True, eq=False)
class Handshake:
    """An opening handshake, as an authenticator sees it. Its repr leaves out everything that may hold credentials.

    Attributes:
        path: The path of the URL, without the query.
        query: What follows the question mark in the URL, not decoded.
        headers: Every header in the order of arrival, as (name, value). Names are lower case.
        client: Host and port of the peer, if the server knows them.
        scheme: `wss` over TLS, as far as the server or a trusted proxy can tell, otherwise `ws`.
    """

    path: str
    query: str = field(default="", repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    client: tuple[str, int] | None = None
    scheme: Literal["ws", "wss"] = "ws"

    def header(self, name: str) -> str | None:
        """Return the first value of a header, or None. The case of the name does not matter."""
        name = name.lower()
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def headers_named(self, name: str) -> list[str]:
        """Return every value of a header, in the order of arrival."""
        name = name.lower()
        return [value for key, value in self.headers if key == name]

    def cookie(self, name: str) -> str | None:
        """Return the first value of a cookie, or None. Enclosing double quotes are removed; nothing else is decoded."""
        return next(iter(self.cookies_named(name)), None)

    def cookies_named(self, name: str) -> list[str]:
        """Return every value of a cookie: a browser sends several if they were set for different paths or domains."""
        return [value for header in self.headers_named("cookie") for value in cookie_values(header, name)]


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that an authenticator has recognised.

    Attributes:
        user_id: 1 to 128 characters, none of them a control character.
        expires_at: When the socket is closed with 4401, in seconds since the epoch. None for never.
        session: The session that `gateway.disconnect(user_id, session=...)` selects by. Same rules as `user_id`.

    Raises:
        Unauthorized: If a value cannot be used. Types are checked too, so a token's claims can be passed unchecked.
    """

    user_id: str
    expires_at: float | None = None
    session: str | None = None

    def __post_init__(self) -> None:
        if not _is_usable_id(self.user_id):
            raise Unauthorized("the user id is not a string of 1 to 128 characters without control characters")
        if self.session is not None and not _is_usable_id(self.session):
            raise Unauthorized("the session is not a string of 1 to 128 characters without control characters")
        if self.expires_at is not None and not _is_usable_time(self.expires_at):
            raise Unauthorized("the expiry is not a time in seconds since the epoch")


Authenticator: TypeAlias = Callable[[Handshake], Identity | Awaitable[Identity | None] | None]
"""A function that returns who is connecting. It is called once per handshake and may be async. If it returns None or
raises `Unauthorized`, the socket is closed with 4401."""


def cookie_values(header: str, name: str) -> Iterator[str]:
    """Yield every value of a cookie in one Cookie header.

    Parsed by hand because `http.cookies` takes seconds for a hostile header. Here the time is linear.
    """
    for pair in header.split(";"):
        if name in pair:
            key, separator, value = pair.partition("=")
            if separator and key.strip(" \t") == name:
                yield _unquote(value.strip(" \t"))


def _unquote(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _is_usable_id(value: object) -> bool:
    return isinstance(value, str) and is_valid_id(value)


def _is_usable_time(value: object) -> bool:
    # The comparison is false for NaN too. isinstance would accept True as a number.
    return type(value) in (int, float) and 0 <= value <= _MAX_TIME  # type: ignore[operator]
