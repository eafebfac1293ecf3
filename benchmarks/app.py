"""The Hubbub application that is measured: code as a user would write it, and endpoints that control it.

Every setting is the default, except the rate of handshakes, whose speed is measured. Like `scenario`, it imports only
the public API of Hubbub.
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

from benchmarks import scenario
from hubbub import Context, Gateway, JWTAuthenticator, Limits, MessageNew, MessengerDomain, Topic, notify

MIN_SLEEP: Final = 0.001
"""Seconds, like Node's timers: uvloop would round less to zero, and the publisher would spin."""


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow everything: the cost of authorization belongs to the application."""
    return topics


def now_iso() -> str:
    """Return the time in the format of payloads."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the table of messages."""
    async with aiosqlite.connect(os.environ.get("BENCHMARK_DATABASE", ":memory:")) as database:
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute("PRAGMA synchronous = NORMAL")
        await database.execute(
            "CREATE TABLE message (id TEXT PRIMARY KEY, conversation TEXT, sender TEXT, body TEXT, created TEXT)"
        )
        app.state.database = database
        yield


app = FastAPI(lifespan=lifespan)
redis_options: dict[str, Any] = {"redis_url": os.environ["BENCHMARK_REDIS"]} if "BENCHMARK_REDIS" in os.environ else {}
gateway = Gateway(
    authenticate=JWTAuthenticator(scenario.SECRET, algorithms=["HS256"]),
    authorize=authorize,
    domains=[MessengerDomain()],
    limits=Limits(handshakes_per_second=1e6, handshake_burst=1_000_000),
    **redis_options,
)
gateway.attach(app)


@app.post("/publish")
async def publish_all(topic: str, rooms: int, count: int, burst: int, interval: float, paced: int) -> dict[str, int]:
    """Publish events. The parameters are those of `servers.Publication`.

    Each event carries the time at which it was due, which with `paced` may be earlier than it was published.
    """

    def publish(number: int, due: int) -> None:
        if rooms:
            room = number % rooms
            notify(scenario.event(due, f"room-{room:07d}", room * scenario.ROOM_SIZE))
        else:
            notify(scenario.event(due, topic))

    started_at = time.monotonic_ns()
    published = 0
    while published < count:
        now = time.monotonic_ns()
        if paced:
            while published < count and (due := started_at + int(published // burst * interval * 1e9)) <= now:
                publish(published, due)
                published += 1
            if published < count:
                await asyncio.sleep(max(MIN_SLEEP, (due - time.monotonic_ns()) / 1e9))
        else:
            for _ in range(burst):
                publish(published, now)
                published += 1
            await asyncio.sleep(interval)
    return {"published": count}


@app.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    """Store a message and notify its subscribers. Like the peers, it only checks that all values are strings."""
    created_at = now_iso()
    row = (message["id"], message["conversationId"], message["senderId"], message["body"], created_at)
    await app.state.database.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", row)
    await app.state.database.commit()
    notify(MessageNew(message["conversationId"], message["id"], message["senderId"], created_at))
    return message


@app.post("/collect")
async def collect() -> dict[str, int]:
    """Run the garbage collector, so that memory is compared without garbage."""
    return {"unreachable": gc.collect()}
