"""Connections to Redis or Valkey: the only module that knows the client library.

redis-py opens the connection (TCP, TLS or a Unix socket, AUTH, SELECT) and parses answers. It writes no commands,
retries nothing and supervises nothing: its own pub/sub hides short outages, and the messages lost in them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from hubbub.errors import ConfigurationError, HubbubError
from hubbub.redis.resp import PLAIN, SHARDED, PubSubCommands, redis_command

try:
    from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
    from redis.exceptions import RedisError, ResponseError
except ImportError:  # pragma: no cover - an environment without the extra
    raise ConfigurationError("redis_url needs the Redis client: pip install 'hubbub[redis]'") from None

Address: TypeAlias = tuple[str, int]

SHARDED_SINCE: Final = 7
"""The version of Redis that brought sharded pub/sub. Valkey has had it from its first version."""


class UnusableServer(HubbubError):
    """A server that answers, but cannot be used; the message says why."""


FAILURES: Final = (RedisError, OSError, TimeoutError, UnusableServer)
"""What using a connection can raise while Redis is in trouble."""


class ServerInfo(NamedTuple):
    """What a server says about itself."""

    pubsub: PubSubCommands
    is_cluster: bool
    is_primary: bool

    @classmethod
    def parse(cls, answer: Sequence[Any]) -> ServerInfo:
        """Read the answer to HELLO (https://redis.io/docs/latest/commands/hello/)."""
        facts = dict(zip(answer[::2], answer[1::2], strict=False))
        version = int(facts.get(b"version", b"0").split(b".")[0])
        return cls(
            SHARDED if version >= SHARDED_SINCE else PLAIN,
            facts.get(b"mode") == b"cluster",
            facts.get(b"role") == b"master",
        )

    def require_primary(self) -> None:
        """Raise UnusableServer if the server is a replica: it reaches no other server."""
        if not self.is_primary:
            raise UnusableServer("it is a replica: what is published or written there reaches nobody else")


class RedisConnection:
    """One open connection. One task may write while another one reads; two may never write, or read, at once."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def write(self, data: bytes) -> None:
        """Write commands; wait while the server does not read them."""
        await self._connection.send_packed_command(data, check_health=False)

    async def read(self) -> Any:
        """Return the next answer or message, however long it takes. A command's error is returned, not raised."""
        try:
            return await self._connection.read_response(disable_decoding=True, timeout=math.inf)
        except ResponseError as error:
            return error

    async def execute(self, *words: bytes) -> Any:
        """Send a command and return its answer; raise the answer if it is an error."""
        await self.write(redis_command(*words))
        answer = await self.read()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def info(self) -> ServerInfo:
        """Ask the server what it is."""
        return ServerInfo.parse(await self.execute(b"HELLO"))

    async def abort(self) -> None:
        """Close the connection at once, even if the peer reads nothing any more."""
        writer: asyncio.StreamWriter | None = getattr(self._connection, "_writer", None)
        if writer is not None:
            writer.transport.abort()  # a mere close waits until everything is written
        await self._connection.disconnect(nowait=True)


class Connector:
    """Connects to the server at a URL, and to the other members of its Cluster.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        timeout: Seconds that opening a connection may take.

    Raises:
        ConfigurationError: The URL is not valid.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.timeout = timeout
        try:
            self._options: dict[str, Any] = dict(parse_url(url))
        except ValueError as error:
            raise ConfigurationError(f"redis_url: {error}") from None
        self._class: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        parts = urlsplit(url)
        self.host = str(self._options.get("host", "localhost"))
        self.display_url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        """The URL without its password, for logs."""

    async def connect(self, address: Address | None, name: str) -> RedisConnection:
        """Open a connection.

        Args:
            address: Host and port of a member of the Cluster; None for the URL's own server.
            name: The connection's name in CLIENT LIST.
        """
        options = {**self._options, "socket_keepalive": True} if self._is_tcp else dict(self._options)
        if address is not None:
            options["host"], options["port"] = address
        client = self._class(
            **{**options, "protocol": 2, "socket_timeout": None, "socket_connect_timeout": self.timeout},
            client_name=name,
            driver_info=None,
        )
        connection = RedisConnection(client)
        try:
            async with asyncio.timeout(self.timeout):
                await client.connect()  # type: ignore[no-untyped-call]
        except BaseException as error:
            await connection.abort()
            if isinstance(error, TimeoutError):
                raise UnusableServer(f"no connection within {self.timeout:g} s") from None
            raise
        return connection

    @property
    def _is_tcp(self) -> bool:
        return issubclass(self._class, (Connection, SSLConnection))
