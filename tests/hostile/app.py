"""An ordinary app as it would be deployed, plus one endpoint that breaks all connections at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastapi import FastAPI

from hubbub import DEVELOPMENT_SECRET, Context, Gateway, JWTAuthenticator, MessengerDomain, Topic
from tests.support import services_of


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow everything: these tests are not about authorization."""
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
    """Answer a readiness probe."""
    return gateway.ready


@app.post("/cut")
async def cut(keep: str) -> int:
    """Break every connection except those of one user, without a close frame; return how many."""
    sockets = [socket for socket in services_of(gateway).hub if socket.context.user_id != keep]
    for socket in sockets:
        socket.transport.transport.abort()
    return len(sockets)
