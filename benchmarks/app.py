"""The Hubbub application under measurement: what a user would write, and the endpoints that drive it.

Every setting is the default, but for the rate of handshakes: how fast they can go is what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiosqlite
from fastapi import FastAPI

from benchmarks import workload
from hubbub import Context, Gateway, JWTAuthenticator, Limits, MessageNew, MessengerDomain, Topic, notify

SHORTEST_SLEEP: Final = 0.001
"""Seconds, as Node's timers know them: uvloop would round what is shorter to nothing, and the publisher would spin."""


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allows everything: what an application's rule costs is the application's."""
    return topics


def now_iso() -> str:
    """Gives the time as payloads write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the table of messages."""
    async with aiosqlite.connect(os.environ.get("BENCHMARK_DATABASE", ":memory:")) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = NORMAL")
        await database.execute(
            "CREATE TABLE message (id TEXT PRIMARY KEY, conversation TEXT, sender TEXT, body TEXT, created TEXT)"
        )
        app.state.database = database
        yield


app = FastAPI(lifespan=lifespan)
over_redis: dict[str, Any] = {"redis_url": os.environ["BENCHMARK_REDIS"]} if "BENCHMARK_REDIS" in os.environ else {}
gateway = Gateway(
    authenticate=JWTAuthenticator(workload.SECRET, algorithms=["HS256"]),
    authorize=authorize,
    domains=[MessengerDomain()],
    limits=Limits(handshakes_per_second=1e6, handshake_burst=1_000_000),
    **over_redis,
)
gateway.attach(app)


@app.post("/publish")
async def publish_all(topic: str, rooms: int, count: int, burst: int, interval: float, paced: int) -> dict[str, int]:
    """Publishes ``count`` events, ``burst`` in one turn of the event loop, ``interval`` seconds apart.

    Paced, they stick to their schedule: those that are late leave together, stamped with the moment they were due.
    """

    def publish(number: int, due: int) -> None:
        if rooms:
            room = number % rooms
            notify(workload.event(due, f"room-{room:07d}", room * workload.ROOM_SIZE))
        else:
            notify(workload.event(due, topic))

    began = time.monotonic_ns()
    sent = 0
    while sent < count:
        now = time.monotonic_ns()
        if paced:
            while sent < count and (due := began + int(sent // burst * interval * 1e9)) <= now:
                publish(sent, due)
                sent += 1
            if sent < count:
                await asyncio.sleep(max(SHORTEST_SLEEP, (due - time.monotonic_ns()) / 1e9))
        else:
            for _ in range(burst):
                publish(sent, now)
                sent += 1
            await asyncio.sleep(interval)
    return {"published": count}


@app.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    """Stores a message, then tells those who listen; like the peers it checks no more than that these are strings."""
    created_at = now_iso()
    row = (message["id"], message["conversationId"], message["senderId"], message["body"], created_at)
    await app.state.database.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", row)
    await app.state.database.commit()
    notify(MessageNew(message["conversationId"], message["id"], message["senderId"], created_at))
    return message


@app.post("/collect")
async def collect() -> dict[str, int]:
    """Runs the garbage collector, so that memory is compared without what it would free anyway."""
    return {"unreachable": gc.collect()}
