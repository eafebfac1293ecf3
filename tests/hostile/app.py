"""An ordinary app of the kind that is deployed, and one endpoint that cuts everybody off at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastapi import FastAPI

from hubbub import DEVELOPMENT_SECRET, Context, Gateway, JWTAuthenticator, MessengerDomain, Topic


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allows everything: who may hear what is not what these tests are about."""
    return topics


app = FastAPI()
gateway = Gateway(
    authenticate=JWTAuthenticator(DEVELOPMENT_SECRET, algorithms=["HS256"]),
    authorize=authorize,
    domains=[MessengerDomain()],
)
gateway.attach(app)


@app.get("/readyz")
async def readyz() -> bool:
    """Tells what a readiness probe asks."""
    return gateway.ready


@app.post("/cut")
async def cut(keep: str) -> int:
    """Breaks every connection but those of one user, without a close frame; gives how many."""
    sockets = [socket for socket in gateway._hub if socket.context.user_id != keep]
    for socket in sockets:
        socket._transport._transport.abort()
    return len(sockets)
