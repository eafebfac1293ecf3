"""Runs work that has to be awaited: one task per socket, and only while that socket has work."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Coroutine
from time import perf_counter
from typing import Any, Final, Protocol

logger = logging.getLogger("hubbub.dispatcher")

HOOK_TIMEOUT: Final = 0.5
"""Seconds that hooks get at the end, after the handler before them had to be cancelled."""


class Worker(Protocol):
    """What the dispatcher needs of a socket."""

    def next_work(self) -> Awaitable[None] | None:
        """Return what to await next; None if nothing is left, which ends the task."""

    def work_done(self, seconds: float) -> None:
        """Record how long the last work took, however it ended."""

    def work_failed(self, error: BaseException, *, timed_out: bool = False) -> None:
        """Report the exception of the last work.

        Args:
            error: What it raised.
            timed_out: Whether it was cancelled because it took too long.
        """


class Dispatcher:
    """Owns the tasks of all sockets, and awaits them at the end.

    Args:
        timeout: Seconds that one piece of work may take before it is cancelled.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, worker: Worker, work: Awaitable[None]) -> None:
        """Start a task that awaits `work`, and then whatever the worker returns next."""
        self.spawn(self._run(worker, work))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that is awaited at the end, and whose failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def finish(self, seconds: float, force: asyncio.Event | None = None) -> int:
        """Await the tasks, then cancel those that are left.

        The hooks that were waiting behind a cancelled handler still run: every `on_connect` has its
        `on_disconnect`.

        Args:
            seconds: How long to wait before cancelling.
            force: Once it is set, the wait is over.

        Returns:
            How many tasks were cancelled.
        """
        await self._wait(seconds, force)
        await asyncio.sleep(0)
        unfinished = list(self._tasks)
        for _ in range(2):  # first the work, then the hooks behind it
            for task in self._tasks:
                if _has_begun(task):
                    task.cancel()
            await self._wait(HOOK_TIMEOUT)
        return len(unfinished)

    async def _wait(self, seconds: float, force: asyncio.Event | None = None) -> None:
        """Wait until no task is left, including those that start during the wait."""
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
                async with asyncio.timeout(self._timeout) as timeout:
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
            worker.work_done(perf_counter() - began)
            work = worker.next_work()


def _has_begun(task: asyncio.Task[None]) -> bool:
    """Return whether a task has made its first step: cancelled before that, it would never run its hooks."""
    work = task.get_coro()
    return not inspect.iscoroutine(work) or inspect.getcoroutinestate(work) != inspect.CORO_CREATED
