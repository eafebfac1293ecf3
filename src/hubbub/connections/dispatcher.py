"""Runs what takes time: one task per socket, and only while that socket has work."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Coroutine
from time import perf_counter
from typing import Any, Final, Protocol

logger = logging.getLogger("hubbub.dispatcher")

HOOK_SECONDS: Final = 0.5
"""What hooks get at the end, when the handler before them had to be cancelled."""


class Worker(Protocol):
    """What the dispatcher needs of a socket."""

    def next_work(self) -> Awaitable[None] | None:
        """Gives what to wait for next; None when there is nothing left, which ends the task."""

    def worked(self, seconds: float) -> None:
        """Is told how long the last work took, however it ended."""

    def work_failed(self, error: BaseException, *, timed_out: bool = False) -> None:
        """Is told what the last work raised, and whether that was because it took too long."""


class Dispatcher:
    """Owns the tasks of all sockets, and waits for them at the end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, worker: Worker, work: Awaitable[None]) -> None:
        """Starts a task that waits for ``work`` and then for whatever the worker gives next."""
        self.spawn(self._run(worker, work))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task that is waited for at the end, and whose failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self, seconds: float, force: asyncio.Event | None = None) -> int:
        """Waits for the work in flight, then cancels what is left; gives how many tasks it cancelled.

        The hooks that a cancelled handler held up still run: who was told of a socket's start is told of its end.

        seconds: how long to wait at most. hurry: once it is set, the wait is over.
        """
        await self._wait(seconds, force)
        await asyncio.sleep(0)
        unfinished = list(self._tasks)
        for _ in range(2):  # first the work, then the hooks behind it
            for task in self._tasks:
                if _has_begun(task):
                    task.cancel()
            await self._wait(HOOK_SECONDS)
        return len(unfinished)

    async def _wait(self, seconds: float, force: asyncio.Event | None = None) -> None:
        """Waits until no task is left, also of those that begin meanwhile."""
        deadline = asyncio.get_running_loop().time() + seconds
        forced = asyncio.ensure_future((force or asyncio.Event()).wait())
        try:
            while self._tasks and not forced.done():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                await asyncio.wait({forced, *self._tasks}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            forced.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("a task of the bus failed: this is a bug in Hubbub", exc_info=error)

    async def _run(self, worker: Worker, work: Awaitable[None] | None) -> None:
        task = asyncio.current_task()
        is_ending = False
        while work is not None:
            began = perf_counter()
            try:
                async with asyncio.timeout(self._seconds) as timeout:
                    await work
            except asyncio.CancelledError as error:
                if task is not None and task.cancelling():
                    if is_ending:
                        raise
                    is_ending = True
                    task.uncancel()
                worker.work_failed(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the next work goes on
                worker.work_failed(error, timed_out=timeout.expired())
            worker.worked(perf_counter() - began)
            work = worker.next_work()


def _has_begun(task: asyncio.Task[None]) -> bool:
    """Tells whether a task has made its first step: cancelled before it, it never runs, and what it holds is lost."""
    work = task.get_coro()
    return not inspect.iscoroutine(work) or inspect.getcoroutinestate(work) != inspect.CORO_CREATED
