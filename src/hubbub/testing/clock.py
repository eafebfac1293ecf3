"""A clock that tests move by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from hubbub.clock import Timer


class ManualClock:
    """A clock that stands still until it is moved.

    Args:
        start: The time at first, in seconds since the epoch.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._tiebreak = count()

    def monotonic(self) -> float:
        """Return the seconds by which the clock was advanced so far."""
        return self._elapsed

    def time(self) -> float:
        """Return the time in seconds since the epoch."""
        return self._start + self._elapsed

    def set(self, seconds: float) -> None:
        """Change the time since the epoch by some seconds, as when the system clock is set. Timers do not notice."""
        self._start += seconds

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Schedule a call. It is made by the `advance` that reaches its time."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + delay, next(self._tiebreak), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move the time forward. Make every scheduled call on the way, in order, each at its own time."""
        end = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= end:
            self._elapsed, _, timer = heapq.heappop(self._timers)
            if not timer.is_cancelled:
                timer.callback()
        self._elapsed = end


@dataclass(slots=True)
class _ManualTimer:
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True
