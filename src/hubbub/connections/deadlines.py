"""Deadlines that are all equally far ahead: one timer serves any number of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from hubbub.clock import Clock

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls back for every item that is not discarded within a timeout.

    All items have the same timeout, so they expire in the order in which they came. One timer, for the oldest item, is
    enough, and adding or discarding an item costs one entry of a dictionary.

    Args:
        timeout: Seconds that every item has.
        clock: Measures them.
        on_expired: Called with each item whose time is up; the item is gone from here by then.
    """

    def __init__(self, timeout: float, clock: Clock, on_expired: Callable[[T], None]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._on_expired = on_expired
        self._due: dict[T, float] = {}
        self._is_timer_set = False

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Start the time of an item; an item that is here already keeps its deadline."""
        if item not in self._due:
            self._due[item] = self._clock.monotonic() + self._timeout
            if not self._is_timer_set:
                self._is_timer_set = True
                self._clock.call_later(self._timeout, self._expire)

    def discard(self, item: T) -> None:
        """Remove an item, if it is here."""
        self._due.pop(item, None)

    def _expire(self) -> None:
        """Call back for the items that are due, and set the timer for the next one, if there is one."""
        now = self._clock.monotonic()
        expired = []
        for item, due in self._due.items():
            if due > now:
                self._clock.call_later(due - now, self._expire)
                break
            expired.append(item)
        else:
            self._is_timer_set = False
        for item in expired:
            del self._due[item]
        for item in expired:
            self._on_expired(item)
