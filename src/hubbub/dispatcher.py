"""Runs what takes time: one task per socket, and only while that socket has work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

logger = logging.getLogger("hubbub.dispatcher")


class Worker(Protocol):
    """What the dispatcher needs of a socket."""

    def next_work(self) -> Awaitable[None] | None:
        """Gives what to wait for next; None when there is nothing left, which ends the task."""

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

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task that is waited for at the end, and whose failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def finish(self, seconds: float) -> int:
        """Waits at most ``seconds`` for the work in flight, then cancels the rest; gives how many it cancelled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        unfinished = list(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return len(unfinished)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.critical("a task of the bus failed: this is a bug in Hubbub", exc_info=error)

    async def _run(self, worker: Worker, work: Awaitable[None] | None) -> None:
        task = asyncio.current_task()
        while work is not None:
            try:
                async with asyncio.timeout(self._seconds) as timeout:
                    await work
            except asyncio.CancelledError as error:
                if task is not None and task.cancelling():
                    raise
                worker.work_failed(error)  # the work cancelled itself, nobody cancelled us
            except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the next work goes on
                worker.work_failed(error, timed_out=timeout.expired())
            work = worker.next_work()
