"""Connections to Redis or Valkey: the one place that knows the client library.

redis-py makes the connection (TCP, TLS or a Unix socket, AUTH, SELECT), packs nothing, retries nothing and supervises
nothing: its own pub/sub hides short outages, and what was lost in them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from hubbub.errors import ConfigurationError, HubbubError
from hubbub.redis.resp import PLAIN, SHARDED, Dialect, command

try:
    from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
    from redis.exceptions import RedisError, ResponseError
except ImportError:  # pragma: no cover - an environment without the extra
    raise ConfigurationError("redis_url needs the Redis client: pip install 'hubbub[redis]'") from None

Address: TypeAlias = tuple[str, int]

SHARDED_SINCE: Final = 7
"""The version of Redis that brought sharded pub/sub; Valkey has had it from its first."""


class Unusable(HubbubError):
    """A server that answers, and is not one to work with; the message says why."""


#: What a connection fails with.
FAILURES: Final = (RedisError, OSError, TimeoutError, Unusable)


class Hello(NamedTuple):
    """What a server says about itself."""

    dialect: Dialect
    is_cluster: bool
    is_primary: bool


class Wire:
    """One connection. Whoever reads it never writes at the same moment as another reader or writer of it."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def write(self, data: bytes) -> None:
        """Writes commands; waits while the server does not take them."""
        await self._connection.send_packed_command(data, check_health=False)

    async def read(self) -> Any:
        """Gives the next answer or message, however long it takes; errors of a command are given, not raised."""
        try:
            return await self._connection.read_response(disable_decoding=True, timeout=math.inf)
        except ResponseError as error:
            return error

    async def ask(self, *words: bytes) -> Any:
        """Sends a command and gives its answer; raises where that is an error."""
        await self.write(command(*words))
        answer = await self.read()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def hang_up(self) -> None:
        """Ends the connection at once, also where the peer takes nothing any more."""
        writer: asyncio.StreamWriter | None = getattr(self._connection, "_writer", None)
        if writer is not None:
            writer.transport.abort()  # a mere close waits until everything is written
        await self._connection.disconnect(nowait=True)


class Dialer:
    """Knows the way to the server at a URL, and to the other members of its Cluster.

    seconds: what a connection may take to be made. Raises ConfigurationError for a URL that is none.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self._seconds = seconds
        try:
            self._options: dict[str, Any] = dict(parse_url(url))
        except ValueError as error:
            raise ConfigurationError(f"redis_url: {error}") from None
        self._class: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        parts = urlsplit(url)
        self.host = str(self._options.get("host", "localhost"))
        self.shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        """The URL without its password, for logs."""

    async def dial(self, address: Address | None, name: str) -> Wire:
        """Connects: to the URL's own server, or to another member of its Cluster.

        name: what the connection is called in CLIENT LIST.
        """
        options = {**self._options, "socket_keepalive": True} if self._is_tcp else dict(self._options)
        if address is not None:
            options["host"], options["port"] = address
        connection = self._class(
            **{**options, "protocol": 2, "socket_timeout": None, "socket_connect_timeout": self._seconds},
            client_name=name,
            driver_info=None,
        )
        wire = Wire(connection)
        try:
            async with asyncio.timeout(self._seconds):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException as error:
            await wire.hang_up()
            if isinstance(error, TimeoutError):
                raise Unusable(f"no connection within {self._seconds:g} s") from None
            raise
        return wire

    @property
    def _is_tcp(self) -> bool:
        return issubclass(self._class, (Connection, SSLConnection))


def read_hello(answer: Sequence[Any]) -> Hello:
    """Reads the answer to HELLO (https://redis.io/docs/latest/commands/hello/)."""
    facts = dict(zip(answer[::2], answer[1::2], strict=False))
    version = int(facts.get(b"version", b"0").split(b".")[0])
    return Hello(
        SHARDED if version >= SHARDED_SINCE else PLAIN,
        facts.get(b"mode") == b"cluster",
        facts.get(b"role") == b"master",
    )
