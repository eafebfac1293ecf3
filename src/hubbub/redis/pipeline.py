"""The connections over which presence is kept in Redis or Valkey: one to each server that holds a bucket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from hubbub.redis.connection import FAILURES, Address, Dialer, Hello, Unusable, Wire, read_hello
from hubbub.redis.placement import ONE_SERVER, Placement, placement_of
from hubbub.redis.scripts import Call

SECONDS: Final = 2.0
"""What a server may take to answer, and a connection to be made."""


class Command(NamedTuple):
    """A plain command, already written, for the server that holds a bucket."""

    bucket: int
    data: bytes


class _Server:
    """One connection, used by one exchange at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wire: Wire | None = None


class Store:
    """Sends commands in batches, and gives what each was answered. Never raises for what a server does or does not.

    It retries nothing: whoever asks does so again on the next tick, and everything it asks for may be done twice.
    """

    def __init__(self, dialer: Dialer, seconds: float = SECONDS) -> None:
        self._dialer = dialer
        self._seconds = seconds
        self._servers: dict[Address | None, _Server] = {}
        self._placement: Placement | None = None
        self._finding = asyncio.Lock()
        self.publish_word = b"SPUBLISH"
        """The command that publishes, once anything has been asked."""

    @property
    def name(self) -> str:
        """The URL without its password, for logs."""
        return self._dialer.shown

    async def ask(self, asked: Sequence[Call | Command]) -> list[Any]:
        """Sends everything, in one batch per server; gives the answers in the order asked, errors among them."""
        answers: list[Any] = [None] * len(asked)
        try:
            placement = await self._find()
        except (*FAILURES, LookupError) as error:
            return [error] * len(asked)
        by_server: dict[Address | None, list[int]] = {}
        for index, one in enumerate(asked):
            by_server.setdefault(placement[one.bucket], []).append(index)
        await asyncio.gather(
            *(self._ask_server(address, indexes, asked, answers) for address, indexes in by_server.items())
        )
        if any(isinstance(answer, ResponseError) for answer in answers):
            self._placement = None  # a bucket may be elsewhere, or its server a replica by now
        return answers

    async def find(self) -> None:
        """Connects for the first time; raises what that fails with."""
        await self._find()

    async def close(self) -> None:
        """Disconnects."""
        servers, self._servers = list(self._servers.values()), {}
        for server in servers:
            if server.wire is not None:
                await server.wire.hang_up()
                server.wire = None

    async def _ask_server(
        self, address: Address | None, indexes: list[int], asked: Sequence[Call | Command], answers: list[Any]
    ) -> None:
        server = self._servers.setdefault(address, _Server())
        written = [one.by_sha() if isinstance(one := asked[index], Call) else one.data for index in indexes]
        try:
            async with asyncio.timeout(self._seconds), server.lock:
                await self._exchange(address, server, written, indexes, answers)
                unknown = [index for index in indexes if isinstance(answers[index], NoScriptError)]
                if unknown:
                    written = [one.by_source() for index in unknown if isinstance(one := asked[index], Call)]
                    await self._exchange(address, server, written, unknown, answers)
        except FAILURES as error:
            if isinstance(error, TimeoutError):
                error = Unusable(f"no answer within {self._seconds:g} s")
            for index in indexes:
                answers[index] = error
            self._placement = None  # a server that fails may have been replaced

    async def _exchange(
        self, address: Address | None, server: _Server, written: list[bytes], indexes: list[int], answers: list[Any]
    ) -> None:
        try:
            if server.wire is None:
                server.wire = await self._dialer.dial(address, "hubbub-presence")
            await server.wire.write(b"".join(written))
            for index in indexes:
                answers[index] = await server.wire.read()
        except BaseException:  # answers may still come, and would be taken for those of the next exchange
            wire, server.wire = server.wire, None
            if wire is not None:
                await wire.hang_up()
            raise

    async def _find(self) -> Placement:
        """Finds out where buckets are, unless that is known."""
        async with self._finding:
            if self._placement is None:
                addresses = list(dict.fromkeys((*self._servers, None)))
                for address in addresses[:-1]:
                    with contextlib.suppress(*FAILURES, LookupError):
                        self._placement = await self._look(address)
                        break
                else:
                    self._placement = await self._look(addresses[-1])
                await self._leave_others()
            return self._placement

    async def _look(self, address: Address | None) -> Placement:
        wire = await self._dialer.dial(address, "hubbub-find")
        try:
            async with asyncio.timeout(self._seconds):
                hello = read_hello(await wire.ask(b"HELLO"))
                self.publish_word = hello.dialect.publish_word
                if not hello.is_cluster:
                    _check(hello)
                    return ONE_SERVER
                host = self._dialer.host if address is None else address[0]
                return placement_of(await wire.ask(b"CLUSTER", b"SLOTS"), host)
        finally:
            await wire.hang_up()

    async def _leave_others(self) -> None:
        """Disconnects from servers that hold nothing any more."""
        for address in [address for address in self._servers if address not in (self._placement or ())]:
            wire = self._servers.pop(address).wire
            if wire is not None:
                await wire.hang_up()


def _check(hello: Hello) -> None:
    if not hello.is_primary:
        raise Unusable("it is a replica: what is written there reaches nobody else")
