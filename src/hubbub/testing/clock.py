"""Time that stands still until it is moved."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from hubbub.clock import Timer


class ManualClock:
    """A clock that stands still until it is moved. Starts at ``start``, in seconds since the epoch."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._tiebreak = count()

    def monotonic(self) -> float:
        """Gives the seconds moved so far."""
        return self._elapsed

    def time(self) -> float:
        """Gives the start and the seconds moved so far."""
        return self._start + self._elapsed

    def set(self, seconds: float) -> None:
        """Sets the time since the epoch by so many seconds, as somebody sets a machine's clock; no interval changes."""
        self._start += seconds

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Calls back from within ``advance``, once the time has come."""
        timer = _ManualTimer(callback)
        heapq.heappush(self._timers, (self._elapsed + delay, next(self._tiebreak), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Moves the time, and makes every call that comes due on the way, in order and at its own time."""
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
