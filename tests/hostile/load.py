"""Shared parts of the load tests: the server and its crowds, each in its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import httpx

from hubbub.testing import Address
from tests.processes import HUBBUB, command

ROOT = Path(__file__).parent.parent.parent
SPARE_DESCRIPTORS = 300

Tell = Callable[[str], None]


def affordable(sockets: int, tell: Tell) -> int:
    """Return how many sockets the file limit allows, at most `sockets`. Report it if that is fewer."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = int(soft * 0.9) - SPARE_DESCRIPTORS if soft != resource.RLIM_INFINITY else sockets
    if limit < sockets:
        tell(f"the file limit of {soft} allows {limit} sockets instead of {sockets}")
    return min(sockets, limit)


class Server:
    """A server under load, seen from outside."""

    def __init__(self, address: Address, rest: httpx.AsyncClient) -> None:
        self.address = address
        self._rest = rest

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, **options: Any) -> AsyncIterator[Self]:
        """Run `tests.hostile.server`. The options are passed to its gateway, with its limits as a dict."""
        run = (HUBBUB, "run", "tests.hostile.server:app", "--port", "0", "--no-access-log")
        variables = {"HOSTILE_OPTIONS": json.dumps(options)}
        async with (
            command(ROOT, *run, **variables) as running,
            httpx.AsyncClient(base_url=running.address.http, timeout=120) as rest,
        ):
            # Read the log all the time: a full pipe would stop the server.
            reading = asyncio.create_task(running.ended())
            yield cls(running.address, rest)
            assert running.process.returncode is None, running.log
            reading.cancel()

    async def inside(self, *, collect: bool = False) -> dict[str, Any]:
        response = await self._rest.get("/inside", params={"collect": collect})
        answer: dict[str, Any] = response.raise_for_status().json()
        return answer

    async def presence(self, prefix: str, count: int) -> dict[str, int]:
        response = await self._rest.get("/presence", params={"prefix": prefix, "count": count})
        answer: dict[str, int] = response.raise_for_status().json()
        return answer

    async def publish(self, *, turns: int, interval: float, size: int = 100, watch: bool = False) -> float:
        """Publish to the crowd, and return when the last event is published.

        Args:
            turns: How many events.
            interval: Seconds between two events.
            size: Bytes of an event, roughly.
            watch: Return the CPU seconds of the longest turn of the server's event loop during that time.

        """
        parameters: dict[str, Any] = {"turns": turns, "interval": interval, "size": size, "watch": watch}
        response = await self._rest.post("/publish", params=parameters)
        longest: float = response.raise_for_status().json()["longest_turn"]
        return longest

    async def until(self, seconds: float, **expected: int) -> tuple[dict[str, Any], float]:
        """Poll until the figures have the expected values. Return all figures, and the seconds it took."""
        began = time.monotonic()
        while True:
            figures = await self.inside()
            took = time.monotonic() - began
            if all(figures[name] == value for name, value in expected.items()):
                return figures, took
            assert took < seconds, (expected, figures)
            await asyncio.sleep(0.2)


class Crowd:
    """Many sockets in their own process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def gather(cls, server: Server, count: int, prefix: str) -> AsyncIterator[Self]:
        """Open `count` sockets of as many users, all subscribed to the conversation that `publish` sends to."""
        run = (sys.executable, "-m", "tests.hostile.crowd", str(server.address.port))
        process = await asyncio.create_subprocess_exec(*run, cwd=ROOT, stdin=PIPE, stdout=PIPE)
        try:
            crowd = cls(process)
            assert await crowd.ask(f"open {count} {prefix}") == {"open": count}
            yield crowd
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def receive(self, messages: int, seconds: float) -> dict[str, Any]:
        """Wait until so many messages have arrived or the time is up. Return the report of all messages."""
        began = time.monotonic()
        while (await self.ask("count"))["received"] < messages and time.monotonic() - began < seconds:
            await asyncio.sleep(0.05)
        return await self.ask("report")

    async def ask(self, request: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request.encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "the crowd has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer
