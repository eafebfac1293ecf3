"""Deadlines that all lie equally far ahead: one timer for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from hubbub.clock import Clock

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Holds who has to be done with something within ``seconds``, and tells who is not.

    As everybody has the same time, the order of arrival is the order of deadlines. So one timer, for whoever came
    first, does for all, and to come and go costs no more than an entry in a dictionary.
    """

    def __init__(self, seconds: float, clock: Clock, on_late: Callable[[T], None]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._on_late = on_late
        self._due: dict[T, float] = {}
        self._is_armed = False

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Gives an item its deadline; one that has a deadline keeps it."""
        if item not in self._due:
            self._due[item] = self._clock.monotonic() + self._seconds
            if not self._is_armed:
                self._is_armed = True
                self._clock.call_later(self._seconds, self._turn)

    def discard(self, item: T) -> None:
        """Is told that an item is done, or gone."""
        self._due.pop(item, None)

    def _turn(self) -> None:
        """Deals with who is late, and waits for the next one; for nobody where nobody is left."""
        now = self._clock.monotonic()
        late = []
        for item, due in self._due.items():
            if due > now:
                self._clock.call_later(due - now, self._turn)
                break
            late.append(item)
        else:
            self._is_armed = False
        for item in late:
            del self._due[item]
        for item in late:
            self._on_late(item)
