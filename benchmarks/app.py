"""The Hubbub application under measurement: what a user would write, and two endpoints that drive it.

Every setting is the default.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Sequence

from fastapi import FastAPI

from benchmarks import workload
from hubbub import Context, Gateway, JWTAuthenticator, MessengerDomain, Topic, notify


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allows everything: what an application's rule costs is the application's."""
    return topics


app = FastAPI()
gateway = Gateway(
    authenticate=JWTAuthenticator(workload.SECRET, algorithms=["HS256"]),
    authorize=authorize,
    domains=[MessengerDomain()],
)
gateway.attach(app)


@app.post("/broadcast")
async def broadcast(turns: int, events: int, interval: float) -> dict[str, int]:
    """Publishes ``turns`` times, ``interval`` seconds apart, ``events`` events in one turn of the event loop."""
    for _ in range(turns):
        for number in range(events):
            notify(workload.event(number))
        # Never sooner, even when late: two turns that fall together would be written as one, and cost half.
        await asyncio.sleep(interval)
    return {"published": turns * events}


@app.post("/collect")
async def collect() -> dict[str, int]:
    """Runs the garbage collector, so that memory is compared without what it would free anyway."""
    return {"unreachable": gc.collect()}
