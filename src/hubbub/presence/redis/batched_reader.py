"""Reads for many callers at the same time, in few batches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Generic, TypeVar

BATCH: Final = 256
"""Users read in one batch."""

T = TypeVar("T")


class BatchedReader(Generic[T]):
    """Collects what is asked for while a batch is under way, and reads it in the next one.

    An answer is never older than the question: no caller joins a batch that was sent already.

    Args:
        fetch: Reads one batch.
    """

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Sequence[T]]]) -> None:
        self._fetch = fetch
        self._asked: dict[str, asyncio.Future[T | Exception]] = {}
        self._task: asyncio.Task[None] | None = None

    async def read(self, user_ids: Iterable[str], seconds: float) -> dict[str, T]:
        """Return what is stored of users.

        Raises:
            TimeoutError: It takes longer than `seconds`.
            Exception: What `fetch` raises.
        """
        loop = asyncio.get_running_loop()
        answers: dict[str, asyncio.Future[T | Exception]] = {}
        for user_id in user_ids:
            answer = self._asked.get(user_id)
            if answer is None:
                answer = self._asked[user_id] = loop.create_future()
            answers[user_id] = answer
        if not answers:
            return {}
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        _, late = await asyncio.wait(answers.values(), timeout=seconds)
        if late:
            raise TimeoutError(f"presence was not read within {seconds:g} s")
        known = {}
        for user_id, answer in answers.items():
            result = answer.result()
            if isinstance(result, Exception):
                raise result
            known[user_id] = result
        return known

    async def stop(self) -> None:
        """Cancel the batch under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _work(self) -> None:
        while self._asked:
            batch = dict(islice(self._asked.items(), BATCH))
            for user_id in batch:
                del self._asked[user_id]
            try:
                results: Sequence[T | Exception] = await self._fetch(list(batch))
            except asyncio.CancelledError:
                _answer(batch.values(), [ConnectionError("presence has stopped")] * len(batch))
                raise
            except Exception as error:  # noqa: BLE001 - every caller of this batch gets it
                results = [error] * len(batch)
            _answer(batch.values(), results)


def _answer(futures: Iterable[asyncio.Future[T | Exception]], results: Sequence[T | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if not future.done():
            future.set_result(result)
