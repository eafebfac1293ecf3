"""Who is connecting: what an authenticator is shown, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from hubbub.contract.topics import is_valid_id
from hubbub.errors import Unauthorized

# Seconds since the epoch in the year 5138. Infinity and numbers too large for a float are no time to wait for.
_LATEST_TIME: Final = 1e11


@dataclass(frozen=True, slots=True, eq=False)
class Handshake:
    """An opening handshake, as an authenticator sees it. Its repr leaves out everything that may hold credentials.

    path: without the query.
    query: what follows the question mark, undecoded.
    headers: every header in the order of arrival, as (name, value); names are lower case.
    client: host and port of the peer, where the server knows them.
    scheme: ``wss`` over TLS, as far as the server or a trusted proxy can tell, otherwise ``ws``.
    """

    path: str
    query: str = field(default="", repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    client: tuple[str, int] | None = None
    scheme: Literal["ws", "wss"] = "ws"

    def header(self, name: str) -> str | None:
        """Gives the first value of a header, or None. The case of the name does not matter."""
        name = name.lower()
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def headers_named(self, name: str) -> list[str]:
        """Gives every value of a header, in the order of arrival."""
        name = name.lower()
        return [value for key, value in self.headers if key == name]

    def cookie(self, name: str) -> str | None:
        """Gives the first value of a cookie, or None. Enclosing double quotes are dropped, nothing else is decoded."""
        return next(iter(self.cookies_named(name)), None)

    def cookies_named(self, name: str) -> list[str]:
        """Gives every value of a cookie: a browser sends several when they were set for different paths or domains."""
        return [value for header in self.headers_named("cookie") for value in cookies_in(header, name)]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an authenticator says is connecting.

    user_id: 1 to 128 characters, none of them a control character.
    expires_at: seconds since the epoch at which the socket is closed with 4401; None for never.
    session: what ``gateway.disconnect(user_id, session=...)`` selects by; same rules as user_id.

    Raises Unauthorized where a value cannot be used, so that claims of any type may be handed over unchecked.
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


#: Tells who is connecting. Called once per handshake; may be async. Answering None or raising Unauthorized refuses the
#: socket with close code 4401.
Authenticator: TypeAlias = Callable[[Handshake], Identity | Awaitable[Identity | None] | None]


def cookies_in(header: str, name: str) -> Iterator[str]:
    """Gives every value of a cookie in one Cookie header.

    Parsed by hand because ``http.cookies`` needs seconds for a hostile header; here the time is linear.
    """
    for pair in header.split(";"):
        if name in pair:
            key, separator, value = pair.partition("=")
            if separator and key.strip(" \t") == name:
                yield _unquoted(value.strip(" \t"))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _is_usable_id(value: object) -> bool:
    return isinstance(value, str) and is_valid_id(value)


def _is_usable_time(value: object) -> bool:
    # Comparing refuses NaN as well; isinstance would take True for a number.
    return type(value) in (int, float) and 0 <= value <= _LATEST_TIME  # type: ignore[operator]
