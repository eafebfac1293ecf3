"""Activity on a node where the user has no socket is passed on to the others: not more often than it helps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hubbub.clock import Clock

PAUSE_SECONDS: Final = 1.0
"""The shortest time in which activity of one user is passed on twice."""

MOST: Final = 10_000
"""Users remembered; where more are active within a pause, some are passed on twice."""


class Touches:
    """Remembers whose activity was passed on within the last second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: OrderedDict[str, float] = OrderedDict()  # in order of time

    def first(self, user_id: str) -> bool:
        """Tells whether a user's activity is to be passed on, and takes it as done."""
        now = self._clock.monotonic()
        while self._recent:
            oldest = next(iter(self._recent))
            if now - self._recent[oldest] < PAUSE_SECONDS and len(self._recent) < MOST:
                break
            self._recent.popitem(last=False)
        if user_id in self._recent:
            return False
        self._recent[user_id] = now
        return True
