"""The two ways to run an app under test: its lifespan alone, or a real server on a free port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from hubbub import WebSocketProtocol

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    """Start an app and stop it, as a server does. Requests then go through httpx.ASGITransport."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await _step("startup", task, to_app, from_app)
    try:
        yield
    finally:
        await _step("shutdown", task, to_app, from_app)
        await task


async def _step(
    name: str, task: asyncio.Future[None], to_app: asyncio.Queue[Message], from_app: asyncio.Queue[Message]
) -> None:
    await to_app.put({"type": f"lifespan.{name}"})
    answer = asyncio.create_task(from_app.get())
    await asyncio.wait((task, answer), return_when=asyncio.FIRST_COMPLETED)
    if not answer.done() or answer.result()["type"] != f"lifespan.{name}.complete":
        answer.cancel()
        await task  # raises its exception
        raise AssertionError(f"the app did not complete its {name}")


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serve an app on a free port, and yield host and port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, ws=WebSocketProtocol, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        # The listener queues connections until the server accepts them, so there is no need to wait for its start.
        yield "{}:{}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        await task
        listener.close()
