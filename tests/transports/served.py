"""The app that every server runs in turn: `tests.transports.served:app`."""

from __future__ import annotations

from fastapi import FastAPI

from hubbub import Gateway, MessageNew, MessengerDomain, notify
from tests.support import authenticate, authorize

app = FastAPI()
gateway = Gateway(
    authenticate=authenticate,
    authorize=authorize,
    domains=[MessengerDomain()],
    presence_tick=0.05,
    offline_after=0.1,
)
gateway.attach(app)


@app.post("/messages")
async def post_message(conversation_id: str, message_id: str) -> None:
    notify(MessageNew(conversation_id, message_id, "alice", "2026-01-01T00:00:00Z"))


@app.post("/disconnect")
async def post_disconnect(user_id: str) -> None:
    await gateway.disconnect(user_id)


@app.get("/sockets")
async def sockets() -> int:
    return gateway.load.sockets
