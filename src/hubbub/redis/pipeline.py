"""Batches of commands and scripts, sent to the servers that hold their buckets: how presence is written and read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from hubbub.redis.connection import FAILURES, Address, Connector, RedisConnection, UnusableServer
from hubbub.redis.discovery import Placement, discover
from hubbub.redis.resp import SHARDED, PubSubCommands, redis_command

TIMEOUT: Final = 2.0
"""Seconds that a server may take to answer, or a connection to open."""


class Script(NamedTuple):
    """A Lua script, and the name under which a server remembers it."""

    source: bytes
    sha: bytes


@cache
def read_script(package: str, name: str) -> Script:
    """Read a script from the folder `lua` of a package. `common.lua`, which all of them share, comes first."""
    folder = files(package) / "lua"
    source = (folder / "common.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())  # the digest that EVALSHA expects


class RedisCommand(NamedTuple):
    """A plain command, in its final bytes, for the server that holds a bucket."""

    bucket: int
    data: bytes


class ScriptCall(NamedTuple):
    """One call of a script, on the server that holds a bucket."""

    script: Script
    bucket: int
    keys: tuple[bytes, ...]
    arguments: tuple[bytes, ...]

    def by_sha(self) -> bytes:
        """Return the command for a server that knows the script."""
        return redis_command(b"EVALSHA", self.script.sha, b"%d" % len(self.keys), *self.keys, *self.arguments)

    def by_source(self) -> bytes:
        """Return the command for a server that does not; it knows the script from then on."""
        return redis_command(b"EVAL", self.script.source, b"%d" % len(self.keys), *self.keys, *self.arguments)


class _Server:
    """One connection, used by one batch at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.connection: RedisConnection | None = None


class RedisPipeline:
    """Sends commands in batches, one per server, and returns all answers; a failure is an answer too, never raised.

    It retries nothing. The caller repeats a failed command on its next tick, so every command must be safe to repeat.

    Args:
        connector: Opens the connections; its timeout also bounds each batch.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._servers: dict[Address | None, _Server] = {}
        self._placement: Placement | None = None
        self.pubsub: PubSubCommands = SHARDED
        """The commands with which the servers publish, known once anything was executed."""
        self._discovering = asyncio.Lock()

    @property
    def display_url(self) -> str:
        """Return the URL without its password, for logs."""
        return self._connector.display_url

    async def execute(self, calls: Sequence[ScriptCall | RedisCommand]) -> list[Any]:
        """Send all calls, in one batch per server; return the answers in the order of the calls, errors included."""
        answers: list[Any] = [None] * len(calls)
        try:
            placement = await self._find_servers()
        except FAILURES as error:
            return [error] * len(calls)
        by_server: dict[Address | None, list[int]] = {}
        for index, call in enumerate(calls):
            by_server.setdefault(placement[call.bucket], []).append(index)
        await asyncio.gather(
            *(self._execute_on(address, indexes, calls, answers) for address, indexes in by_server.items())
        )
        if any(isinstance(answer, ResponseError) for answer in answers):
            self._placement = None  # a bucket may have moved, or its server may have become a replica
        return answers

    async def close(self) -> None:
        """Disconnect."""
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            if server.connection is not None:
                await server.connection.abort()
                server.connection = None

    async def _execute_on(
        self,
        address: Address | None,
        indexes: list[int],
        calls: Sequence[ScriptCall | RedisCommand],
        answers: list[Any],
    ) -> None:
        server = self._servers.setdefault(address, _Server())
        data = [call.by_sha() if isinstance(call := calls[index], ScriptCall) else call.data for index in indexes]
        try:
            async with asyncio.timeout(self._connector.timeout), server.lock:
                await self._exchange(address, server, data, indexes, answers)
                unknown = [index for index in indexes if isinstance(answers[index], NoScriptError)]
                if unknown:
                    data = [call.by_source() for index in unknown if isinstance(call := calls[index], ScriptCall)]
                    await self._exchange(address, server, data, unknown, answers)
        except FAILURES as error:
            if isinstance(error, TimeoutError):
                error = UnusableServer(f"no answer within {self._connector.timeout:g} s")
            for index in indexes:
                answers[index] = error
            self._placement = None  # a server that fails may have been replaced

    async def _exchange(
        self, address: Address | None, server: _Server, data: list[bytes], indexes: list[int], answers: list[Any]
    ) -> None:
        try:
            if server.connection is None:
                server.connection = await self._connector.connect(address, "hubbub-presence")
            await server.connection.write(b"".join(data))
            for index in indexes:
                answers[index] = await server.connection.read()
        except BaseException:  # late answers would be taken for those of the next batch
            connection, server.connection = server.connection, None
            if connection is not None:
                await connection.abort()
            raise

    async def _find_servers(self) -> Placement:
        """Return where the buckets are; find it out if that is not known."""
        async with self._discovering:
            if self._placement is None:
                servers = await discover(self._connector, self._servers)
                self._placement, self.pubsub = servers
                await self._close_others()
            return self._placement

    async def _close_others(self) -> None:
        """Disconnect from servers that hold no bucket any more."""
        for address in [address for address in self._servers if address not in (self._placement or ())]:
            connection = self._servers.pop(address).connection
            if connection is not None:
                await connection.abort()
