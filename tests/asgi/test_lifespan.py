"""A gateway in the lifespan of an app that is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubbub.asgi.lifespan import Lifespan


class Gateway:
    """Records the calls it gets."""

    admission = None

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def start(self) -> Any:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")


async def test_a_gateway_that_has_started_is_stopped_when_its_app_is_cancelled() -> None:
    gateway, is_starting = Gateway(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        is_starting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Lifespan(gateway, {}, receive, send).run(app))
    await is_starting.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert gateway.calls == ["start", "stop"]
