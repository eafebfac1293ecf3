"""A small app on many nodes: whoever says a name is let in, and REST publishes what it is told."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from fastapi import FastAPI, Response

import hubbub.brokers.redis.broker
import hubbub.presence.redis.presence
from hubbub import Gateway, Handshake, Identity, MessageNew, MessengerDomain, Topic, notify
from hubbub.presence.redis.presence import RedisPresence
from hubbub.redis.shard import Timing
from tests.support import authorize

QUICK = partial(Timing, probe=0.5, silence=1.0)


def authenticate(handshake: Handshake) -> Identity | None:
    user, _, session = (handshake.header("authorization") or "").partition("/")
    return Identity(user, session=session or None) if user else None


def make_gateway() -> Gateway:
    if os.environ.get(
        "HUBBUB_TEST_QUICK"
    ):  # trouble is found sooner, so that tests of it take no longer than they must
        hubbub.brokers.redis.broker.Timing = QUICK  # type: ignore[assignment,attr-defined]
    if lease := os.environ.get("HUBBUB_TEST_LEASE"):
        hubbub.presence.redis.presence.RedisPresence = partial(RedisPresence, lease=float(lease))  # type: ignore[misc,assignment]
    return Gateway(
        authenticate=authenticate,
        authorize=authorize,
        domains=[MessengerDomain()],
        redis_url=os.environ["HUBBUB_REDIS_URL"],
        redis_prefix=os.environ.get("HUBBUB_TEST_PREFIX", "hubbub"),
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
    return {"errors": gateway.stats.errors, "sockets": gateway.load.sockets, "closes": gateway.stats.closes}
