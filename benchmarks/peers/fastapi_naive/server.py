"""FastAPI with a loop over its sockets: the example of its documentation, with rooms."""

from __future__ import annotations

import gc
import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

sys.path.append(str(Path(__file__).parents[1]))
import common

app = FastAPI()
store = common.Store()
rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def send(room: str, event: Mapping[str, Any], exclude: WebSocket | None = None) -> None:
    text = json.dumps(event, separators=(",", ":"))
    for socket in list(rooms[room]):
        if socket is not exclude:
            await socket.send_text(text)


async def publish(room: str, due: int) -> None:
    await send(room, common.envelope(common.EVENT, common.message_new(room, due)))


@app.websocket("/ws")
async def endpoint(socket: WebSocket) -> None:
    await socket.accept()
    try:
        user_id = common.user_of_header(socket.headers.get("authorization"))
    except jwt.InvalidTokenError:
        await socket.close(4401, "unauthorized")
        return
    joined: list[str] = []
    await socket.send_json(common.envelope(common.READY, {"userId": user_id}))
    try:
        while True:
            event = await socket.receive_json()
            if event["type"] == common.SUBSCRIBE:
                for room in joined:
                    rooms[room].discard(socket)
                joined = common.rooms_of(event["data"])
                for room in joined:
                    rooms[room].add(socket)
                await socket.send_json(common.envelope(common.SUBSCRIBED, event["data"]))
            elif event["type"] == common.TYPING:
                typing = {**event["data"], "userId": user_id}
                await send(typing["conversationId"], common.envelope(common.TYPING, typing), socket)
    except WebSocketDisconnect:
        pass
    finally:
        for room in joined:
            rooms[room].discard(socket)


@app.post("/publish")
async def publish_all(request: Request) -> dict[str, int]:
    return await common.publish_all(request.query_params, publish)


@app.post("/collect")
async def collect() -> dict[str, int]:
    return {"unreachable": gc.collect()}


@app.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    await store.add(message)
    await publish(message["conversationId"], int(message["id"]))
    return message
