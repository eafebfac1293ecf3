"""A small app for many nodes: any user name is accepted, and REST routes publish events."""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, Response

from hubbub import Gateway, Handshake, Identity, MessageNew, MessengerDomain, Topic, notify
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.clock import SystemClock
from hubbub.metrics.stats import Stats
from hubbub.presence.redis.lease import LEASE_SECONDS
from hubbub.presence.redis.presence import RedisPresence
from hubbub.redis.shard import Timing
from tests.support import authorize

QUICK = Timing(probe=0.5, silence=1.0)
"""Short timeouts, so that failures are detected fast and tests stay short."""

engine_stats = Stats()


def authenticate(handshake: Handshake) -> Identity | None:
    user, _, session = (handshake.header("authorization") or "").partition("/")
    return Identity(user, session=session or None) if user else None


def make_gateway() -> Gateway:
    url, prefix = os.environ["HUBBUB_REDIS_URL"], os.environ.get("HUBBUB_TEST_PREFIX", "hubbub")
    timing = QUICK if os.environ.get("HUBBUB_TEST_QUICK") else Timing()
    lease = float(os.environ.get("HUBBUB_TEST_LEASE", LEASE_SECONDS))
    return Gateway(
        authenticate=authenticate,
        authorize=authorize,
        domains=[MessengerDomain()],
        broker=RedisBroker(url, stats=engine_stats, prefix=prefix, timing=timing),
        presence=RedisPresence(
            url,
            clock=SystemClock(),
            stats=engine_stats,
            away_after=300.0,
            offline_after=3.0,
            prefix=prefix,
            lease=lease,
        ),
    )


gateway = make_gateway()
app = FastAPI()
gateway.attach(app)


@app.get("/readyz")
async def readyz() -> Response:
    return Response(status_code=200 if gateway.ready else 503)


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.post("/messages/{conversation_id}/{message_id}")
async def post(conversation_id: str, message_id: str, sender: str = "system") -> None:
    notify(MessageNew(conversation_id, message_id, sender, "2026-01-01T00:00:00Z"))


@app.post("/waited/{conversation_id}/{message_id}")
async def post_and_wait(conversation_id: str, message_id: str) -> str:
    event = MessageNew(conversation_id, message_id, "system", "2026-01-01T00:00:00Z")
    return (await gateway.publish(event)).value


@app.post("/burst/{conversation_id}/{count}")
async def burst(conversation_id: str, count: int) -> None:
    for number in range(count):
        notify(MessageNew(conversation_id, str(number), "system", "2026-01-01T00:00:00Z"))


@app.post("/range/{conversation_id}")
async def post_range(conversation_id: str, first: int, last: int) -> None:
    for number in range(first, last):
        notify(MessageNew(conversation_id, str(number), "system", "2026-01-01T00:00:00Z"))


@app.post("/disconnect/{user}")
async def disconnect(user: str, session: str | None = None) -> str:
    return (await gateway.disconnect(user, session=session)).value


@app.post("/revoke/{user}/{conversation_id}")
async def revoke(user: str, conversation_id: str) -> str:
    return (await gateway.revoke(user, Topic("conversation", conversation_id))).value


@app.get("/presence/{user}")
async def presence(user: str) -> dict[str, Any]:
    (state,) = await gateway.presence([user])
    return {"status": state.status, "lastSeenAt": state.last_seen_at and state.last_seen_at.isoformat()}


@app.get("/stats")
async def stats() -> dict[str, Any]:
    return {
        "errors": gateway.stats.errors + engine_stats.errors,
        "sockets": gateway.load.sockets,
        "closes": gateway.stats.closes,
    }
