"""The dispatcher awaits work, limits its time, and loses nothing at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from hubbub.connections.dispatcher import Dispatcher


class Worker:
    """A socket whose hook is queued behind its handler."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.left = [self.hook]

    async def handler(self) -> None:
        self.log.append("handler")
        await asyncio.sleep(3600)

    async def hook(self) -> None:
        await asyncio.sleep(0)
        self.log.append("hook")

    def next_work(self) -> Awaitable[None] | None:
        return self.left.pop()() if self.left else None

    def work_done(self, seconds: float) -> None:
        self.log.append("done")

    def work_failed(self, error: BaseException, *, timed_out: bool = False) -> None:
        self.log.append(type(error).__name__)


async def test_on_shutdown_a_handler_is_cancelled_and_the_hook_queued_behind_it_runs() -> None:
    dispatcher, worker = Dispatcher(10.0), Worker()
    dispatcher.run(worker, worker.handler())
    await asyncio.sleep(0)

    assert await dispatcher.finish(0.0) == 1
    assert worker.log == ["handler", "CancelledError", "done", "hook", "done"]
    assert len(dispatcher) == 0


async def test_work_added_just_before_shutdown_is_not_lost() -> None:
    dispatcher, worker = Dispatcher(10.0), Worker()
    dispatcher.run(worker, worker.hook())

    assert await dispatcher.finish(0.0) == 1
    assert worker.log == ["CancelledError", "done", "hook", "done"]


async def test_work_added_during_shutdown_is_not_lost() -> None:
    dispatcher, first, second = Dispatcher(10.0), Worker(), Worker()
    dispatcher.run(first, first.handler())
    asyncio.get_running_loop().call_soon(lambda: dispatcher.run(second, second.hook()))

    await dispatcher.finish(0.0)

    assert first.log[-2:] == second.log[-2:] == ["hook", "done"]
    assert len(dispatcher) == 0
