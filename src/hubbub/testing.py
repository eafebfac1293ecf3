"""For tests: a real server on a free port, and a clock to move."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import uvicorn

from hubbub.clock import Timer
from hubbub.server import Server


@dataclass(frozen=True, slots=True)
class Address:
    """Where a test server listens."""

    host: str
    port: int

    @property
    def http(self) -> str:
        """Gives the base of its REST addresses."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws(self) -> str:
        """Gives the base of its WebSocket addresses."""
        return f"ws://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serve(app: Any, **options: Any) -> AsyncIterator[Address]:
    """Serves an ASGI app as ``hubbub run`` does, in this event loop, on a free port of 127.0.0.1.

    options: those of ``uvicorn.Config``, such as ``ws``.
    """
    settings: dict[str, Any] = {
        "ws": "hubbub.transports.uvicorn:WebSocketProtocol",
        "lifespan": "on",
        "log_config": None,
        **options,
    }
    server = _TestServer(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
    running = asyncio.create_task(server.serve())
    up = asyncio.create_task(server.is_up.wait())
    await asyncio.wait([running, up], return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    try:
        if running.done():
            await running
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield Address(host, port)
    finally:
        server.should_exit = True
        server.is_ending.set()
        await running


class _TestServer(Server):
    """Tells when it is up, ends without waiting for a tick, and leaves signals to whoever runs the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()
        self.is_ending = asyncio.Event()
        self._window = 0.0

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def serve(self, sockets: Any = None) -> None:
        try:
            await super().serve(sockets)
        except SystemExit as error:  # it would end the event loop of the tests
            raise RuntimeError("the app did not start: see the log") from error

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.is_ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ManualClock:
    """A clock that stands still until it is moved. Starts at ``start``, in seconds since the epoch."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._tiebreak = count()

    def monotonic(self) -> float:
        """Gives the seconds moved so far."""
        return self._elapsed

    def time(self) -> float:
        """Gives the start and the seconds moved so far."""
        return self._start + self._elapsed

    def set(self, seconds: float) -> None:
        """Sets the time since the epoch by so many seconds, as somebody sets a machine's clock; no interval changes."""
        self._start += seconds

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Calls back from within ``advance``, once the time has come."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + delay, next(self._tiebreak), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Moves the time, and makes every call that comes due on the way, in order and at its own time."""
        end = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= end:
            self._elapsed, _, timer = heapq.heappop(self._timers)
            if not timer.is_cancelled:
                timer.callback()
        self._elapsed = end


@dataclass(slots=True)
class _ManualTimer:
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True
