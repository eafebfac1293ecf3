"""Three real server processes on one Valkey, each behind its own proxy that can fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import httpx

from hubbub.testing import Address
from tests.proxy import Proxy
from tests.support import Client, Json

HUBBUB = str(Path(sys.executable).parent / "hubbub")
ROOT = Path(__file__).parent.parent.parent
STARTED = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


class ClientWithoutPresence(Client):
    """A client that ignores presence updates: they are sent on ticks, so they can arrive at any time."""

    async def receive(self) -> Json:
        while (event := await super().receive())["type"] == "server.presence.update":
            pass
        return event

    async def until(self, type: str, seconds: float = 30.0) -> tuple[list[Json], Json]:
        """Wait for an event of `type`. Return the events before it, and its data."""
        before: list[Json] = []
        async with asyncio.timeout(seconds):
            while (event := await self.receive())["type"] != type:
                before.append(event)
        return before, event["data"]


class Node:
    """One server process, its proxy to Redis, and its log file. It has no pipe: no task would read it."""

    def __init__(self, folder: Path, name: str, proxy: Proxy, variables: dict[str, str]) -> None:
        self.name = name
        self.proxy = proxy
        self.address = Address("", 0)
        self.rest = httpx.AsyncClient(timeout=10)
        self._log = folder / f"{name}.log"
        self._variables = variables
        self._process: Process | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def start(self) -> None:
        """Start the process, and wait until it is ready."""
        arguments = (HUBBUB, "run", "tests.cluster.app:app", "--port", "0", "--no-access-log", "--drain", "0.5")
        environment = {**os.environ, "HUBBUB_REDIS_URL": self.proxy.url, **self._variables}
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *arguments, cwd=ROOT, stdout=log, stderr=log, env=environment
            )
        async with asyncio.timeout(30):
            while not (started := STARTED.search(self.log)):
                assert self._process.returncode is None, self.log
                await asyncio.sleep(0.02)
        self.address = Address("127.0.0.1", int(started[1]))
        self.rest.base_url = httpx.URL(self.address.http)
        await self.until_ready()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Kill the process, as a power cut would."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        await self.rest.aclose()
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    def open(self, user: str, *topics: str) -> contextlib.AbstractAsyncContextManager[ClientWithoutPresence]:
        return ClientWithoutPresence.open(self.address, user, *topics)

    async def post(self, path: str, **parameters: str) -> Any:
        answer = await self.rest.post(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        answer = await self.rest.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def is_ready(self) -> bool:
        return (await self.rest.get("/readyz")).status_code == 200

    async def until_ready(self, is_ready: bool = True, seconds: float = 20.0) -> float:
        """Wait until /readyz reports `is_ready`. Return the seconds it took."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while await self.is_ready() is not is_ready:
                await asyncio.sleep(0.02)
        return time.monotonic() - began


class Nodes(list[Node]):
    """All nodes of one system."""

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, folder: Path, redis_port: int, count: int = 3, **variables: str) -> AsyncIterator[Self]:
        """Run nodes on the Redis at a port, under their own prefix, until the end of the block."""
        variables = {"HUBBUB_TEST_PREFIX": f"test-{secrets.token_hex(4)}", **variables}
        async with contextlib.AsyncExitStack() as stack:
            nodes = cls()
            for number in range(count):
                proxy = await stack.enter_async_context(Proxy.to(redis_port))
                node = Node(folder, f"node{number}", proxy, variables)
                stack.push_async_callback(node.close)
                nodes.append(node)
            await asyncio.gather(*(node.start() for node in nodes))
            yield nodes

    async def restore(self) -> None:
        """Make every proxy forward again, and wait until all nodes are ready."""
        for node in self:
            await node.proxy.restore()
        for node in self:
            await node.until_ready()
