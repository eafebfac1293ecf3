"""python-socketio on uvicorn, beside a FastAPI app: rooms, every setting the default."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import jwt
import socketio
from fastapi import FastAPI, Request

sys.path.append(str(Path(__file__).parents[1]))
import common

manager = None if common.REDIS is None else socketio.AsyncRedisManager(common.REDIS, channel=common.PREFIX)
sio = socketio.AsyncServer(async_mode="asgi", client_manager=manager)
api = FastAPI()
app = socketio.ASGIApp(sio, api)
store = common.Store()


async def publish(room: str, due: int) -> None:
    payload = common.envelope(common.EVENT, common.message_new(room, due))
    await sio.emit(common.EVENT, {**payload["data"], "ts": payload["ts"]}, room=room)


@sio.event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, str] | None) -> None:
    try:
        user_id = common.user_of((auth or {}).get("token", ""))
    except jwt.InvalidTokenError:
        raise socketio.exceptions.ConnectionRefusedError("unauthorized") from None
    await sio.save_session(sid, {"user_id": user_id})


@sio.on(common.SUBSCRIBE)
async def subscribe(sid: str, data: dict[str, Any]) -> None:
    for room in common.rooms_of(data):
        await sio.enter_room(sid, room)
    await sio.emit(common.SUBSCRIBED, data, to=sid)


@sio.on(common.TYPING)
async def typing(sid: str, data: dict[str, Any]) -> None:
    session = await sio.get_session(sid)
    event = common.envelope(common.TYPING, {**data, "userId": session["user_id"]})
    payload = {**event["data"], "ts": event["ts"]}
    await sio.emit(common.TYPING, payload, room=data["conversationId"], skip_sid=sid)


@api.post("/publish")
async def publish_all(request: Request) -> dict[str, int]:
    return await common.publish_all(request.query_params, publish)


@api.post("/collect")
async def collect() -> dict[str, int]:
    return {"unreachable": gc.collect()}


@api.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    await store.add(message)
    await publish(message["conversationId"], int(message["id"]))
    return message
