"""Code that the Python servers share: authentication, publishing, and storing messages.

It runs in the peers' own environment, without Hubbub, and imports nothing from the benchmark.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt

SECRET = os.environ["BENCHMARK_SECRET"]
DATABASE = os.environ["BENCHMARK_DATABASE"]
REDIS = os.environ.get("BENCHMARK_REDIS")
PREFIX = os.environ["BENCHMARK_PREFIX"]
"""The first part of this server's channel names in Redis, which all servers share."""

READY = "server.system.ready"
SUBSCRIBE = "client.system.subscribe"
SUBSCRIBED = "server.system.subscribed"
EVENT = "server.messenger.message_new"
TYPING = "client.messenger.typing"

CREATE = "CREATE TABLE message (id TEXT PRIMARY KEY, conversation TEXT, sender TEXT, body TEXT, created TEXT)"
INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?)"

CREATED_AT = "2026-01-01T12:00:00.000Z"
"""The creation time of every event: reading the clock is not part of any server's work."""

MIN_SLEEP = 0.001
"""Seconds, like Node's timers: uvloop would round less to zero, and the publisher would spin."""

Publish = Callable[[str, int], Awaitable[object]]


def user_of(token: str) -> str:
    """Return the user of a token.

    Raises:
        jwt.InvalidTokenError: the token is not valid.
    """
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    return str(claims["sub"])


def user_of_header(header: str | None) -> str:
    """Return the user of an Authorization header."""
    return user_of((header or "").removeprefix("Bearer "))


def now_iso() -> str:
    """Return the time in the format of payloads."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_new(room: str, due: int) -> dict[str, Any]:
    """Return the payload that is published; the message's id is the time it was due."""
    return {
        "conversationId": room,
        "messageId": f"{due:021d}",
        "senderId": "user-0000000",
        "createdAt": CREATED_AT,
    }


def envelope(type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload in its envelope."""
    return {"type": type, "data": data, "ts": time.time_ns() // 1_000_000}


def rooms_of(data: Mapping[str, Any]) -> list[str]:
    """Return the ids of the topics of a subscribe event."""
    return [topic["id"] for topic in data["topics"]]


async def publish_all(query: Mapping[str, str], publish: Publish) -> dict[str, int]:
    """Publish `count` events, `burst` in one turn of the event loop, `interval` seconds apart.

    With `paced`, they keep to a schedule: late ones are published at once. Each carries the time it was due.
    """
    topic, rooms = query["topic"], int(query["rooms"])
    count, burst, interval = int(query["count"]), int(query["burst"]), float(query["interval"])
    paced = query["paced"] == "1"
    started_at = time.monotonic_ns()
    published = 0
    while published < count:
        now = time.monotonic_ns()
        if paced:
            while published < count and (due := started_at + int(published // burst * interval * 1e9)) <= now:
                await publish(f"room-{published % rooms:07d}" if rooms else topic, due)
                published += 1
            if published < count:
                await asyncio.sleep(max(MIN_SLEEP, (due - time.monotonic_ns()) / 1e9))
        else:
            for _ in range(burst):
                await publish(f"room-{published % rooms:07d}" if rooms else topic, now)
                published += 1
            await asyncio.sleep(interval)
    return {"published": count}


class Store:
    """The table of messages in SQLite."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._opening = asyncio.Lock()

    async def add(self, message: Mapping[str, str]) -> None:
        """Store one message, and commit."""
        async with self._opening:
            if self._connection is None:
                import aiosqlite

                self._connection = await aiosqlite.connect(DATABASE)
                await self._connection.execute("PRAGMA journal_mode = WAL")
                await self._connection.execute("PRAGMA synchronous = NORMAL")
                await self._connection.execute(CREATE)
        row = (message["id"], message["conversationId"], message["senderId"], message["body"], now_iso())
        await self._connection.execute(INSERT, row)
        await self._connection.commit()
