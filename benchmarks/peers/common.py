"""What the servers on Python share: who connects, what is published when, where messages are stored.

It runs in the peers' own environment, where Hubbub is not installed, and imports nothing of the benchmark.
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
"""What this server's channels in Redis begin with: the servers share one."""

READY = "server.system.ready"
SUBSCRIBE = "client.system.subscribe"
SUBSCRIBED = "server.system.subscribed"
EVENT = "server.messenger.message_new"
TYPING = "client.messenger.typing"

CREATE = "CREATE TABLE message (id TEXT PRIMARY KEY, conversation TEXT, sender TEXT, body TEXT, created TEXT)"
INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?)"

CREATED_AT = "2026-01-01T12:00:00.000Z"
"""When everything that is published was created: reading the clock is no server's work."""

SHORTEST_SLEEP = 0.001
"""Seconds, as Node's timers know them: uvloop would round what is shorter to nothing, and the publisher would spin."""

Publish = Callable[[str, int], Awaitable[object]]


def user_of(token: str) -> str:
    """Gives the user of a token; raises jwt.InvalidTokenError where it is not one of ours."""
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"]})
    return str(claims["sub"])


def user_of_header(header: str | None) -> str:
    """Gives the user of an Authorization header."""
    return user_of((header or "").removeprefix("Bearer "))


def now_iso() -> str:
    """Gives the time as payloads write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_new(room: str, due: int) -> dict[str, Any]:
    """Gives the payload that is published; the message's id says when it was due."""
    return {
        "conversationId": room,
        "messageId": f"{due:021d}",
        "senderId": "user-0000000",
        "createdAt": CREATED_AT,
    }


def envelope(type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Wraps a payload."""
    return {"type": type, "data": data, "ts": time.time_ns() // 1_000_000}


def rooms_of(data: Mapping[str, Any]) -> list[str]:
    """Gives the names of the topics of a subscribe event."""
    return [topic["id"] for topic in data["topics"]]


async def publish_all(query: Mapping[str, str], publish: Publish) -> dict[str, int]:
    """Publishes ``count`` events, ``burst`` in one turn of the loop, ``interval`` seconds apart.

    Paced, they stick to their schedule: those that are late leave together, stamped with the moment they were due.
    """
    topic, rooms = query["topic"], int(query["rooms"])
    count, burst, interval = int(query["count"]), int(query["burst"]), float(query["interval"])
    paced = query["paced"] == "1"
    began = time.monotonic_ns()
    sent = 0
    while sent < count:
        now = time.monotonic_ns()
        if paced:
            while sent < count and (due := began + int(sent // burst * interval * 1e9)) <= now:
                await publish(f"room-{sent % rooms:07d}" if rooms else topic, due)
                sent += 1
            if sent < count:
                await asyncio.sleep(max(SHORTEST_SLEEP, (due - time.monotonic_ns()) / 1e9))
        else:
            for _ in range(burst):
                await publish(f"room-{sent % rooms:07d}" if rooms else topic, now)
                sent += 1
            await asyncio.sleep(interval)
    return {"published": count}


class Store:
    """The table of messages in SQLite."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._opening = asyncio.Lock()

    async def add(self, message: Mapping[str, str]) -> None:
        """Stores one message, and commits it."""
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
