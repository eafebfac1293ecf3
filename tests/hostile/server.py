"""The server under load: an ordinary gateway, and routes that report what is going on inside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from hubbub import Gateway, MessageNew, MessengerDomain, notify
from hubbub.limits import Limits
from tests.support import authenticate, authorize

SAMPLE_SECONDS = 0.005
PAGE = os.sysconf("SC_PAGE_SIZE")

lags: list[float] = []


async def measure_lag() -> None:
    """Record how late the event loop is, sample by sample."""
    while True:
        due = time.monotonic() + SAMPLE_SECONDS
        await asyncio.sleep(SAMPLE_SECONDS)
        lags.append(time.monotonic() - due)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    measuring = asyncio.create_task(measure_lag())
    yield
    measuring.cancel()


options: dict[str, Any] = json.loads(os.environ.get("HOSTILE_OPTIONS", "{}"))
# These tests are not about the rate of handshakes.
limits = Limits(handshakes_per_second=1e6, handshake_burst=1_000_000, **options.pop("limits", {}))
app = FastAPI(lifespan=lifespan)
gateway = Gateway(authenticate=authenticate, authorize=authorize, domains=[MessengerDomain()], limits=limits, **options)
gateway.attach(app)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@app.get("/inside")
async def inside(*, collect: bool = False) -> dict[str, Any]:
    """Return what the server holds, and how late its loop has been since the last call.

    Args:
        collect: Collect garbage first, which stops the loop for a while.

    """
    if collect:
        gc.collect()
    admission = gateway.admission
    assert admission is not None
    hub = admission.services.hub
    late, lags[:] = sorted(lags) or [0.0], []
    return {
        "sockets": len(hub),
        "users": hub.user_count,
        "topics": hub.topic_count,
        "heartbeats": len(admission.services.heartbeat),
        "tasks": len(admission.services.dispatcher),
        "open_count": admission.open_count,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident": resident_bytes(),
        "lag_p99": late[int(len(late) * 0.99)],
        "lag_max": late[-1],
        "closes": dict(gateway.stats.closes),
        "connects": gateway.stats.connects,
        "faults": gateway.stats.errors["internal"],
    }


@app.get("/presence")
async def presence(prefix: str, count: int) -> dict[str, int]:
    """Return how many users of a crowd have each announced status."""
    states = await gateway.presence(f"{prefix}{number}" for number in range(count))
    statuses = [state.status for state in states]
    return {status: statuses.count(status) for status in ("online", "away", "offline")}


class TurnTimer:
    """Measures the CPU time of each turn of the event loop, independent of other processes. Keeps the loop busy."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since = time.thread_time()
        self._is_over = False

    def __enter__(self) -> TurnTimer:
        self._turn()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest = max(self.longest, now - self._since)
        self._since = now
        if not self._is_over:
            asyncio.get_running_loop().call_soon(self._turn)


@app.post("/publish")
async def publish(turns: int, interval: float, size: int, *, watch: bool = False) -> dict[str, float]:
    """Publish an event of about `size` bytes to the crowd, `turns` times, `interval` seconds apart.

    Args:
        watch: Also return the CPU seconds of the longest turn of the event loop during that time.

    """
    with TurnTimer() if watch else contextlib.nullcontext() as measured:
        for _ in range(turns):
            notify(MessageNew("crowd", str(time.monotonic_ns()), "sender", "x" * size))
            await asyncio.sleep(interval)
    return {"longest_turn": measured.longest if measured else 0.0}
