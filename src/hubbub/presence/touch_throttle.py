"""A limit on activity that is passed on to other nodes: a node where the user has no socket reports it now and then."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hubbub.clock import Clock

PAUSE_SECONDS: Final = 1.0
"""The shortest time between two reports about one user."""

MAX_USERS: Final = 10_000
"""Users remembered. If more are active within a pause, some are reported twice."""


class TouchThrottle:
    """Remembers whose activity was reported within the last second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: OrderedDict[str, float] = OrderedDict()  # in order of time

    def __len__(self) -> int:
        return len(self._recent)

    def allows(self, user_id: str) -> bool:
        """Return whether a user's activity is to be reported now, and remember the report."""
        now = self._clock.monotonic()
        while self._recent:
            oldest = next(iter(self._recent))
            if now - self._recent[oldest] < PAUSE_SECONDS and len(self._recent) < MAX_USERS:
                break
            self._recent.popitem(last=False)
        if user_id in self._recent:
            return False
        self._recent[user_id] = now
        return True
