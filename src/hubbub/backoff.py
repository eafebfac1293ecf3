"""How long to wait before the next attempt: longer each time, with jitter, so that clients do not retry together."""

from __future__ import annotations

import random
from typing import Final

FIRST_WAIT: Final = 0.1
"""The bound of the first wait in seconds. Most interruptions are a restart of the server or of something in between."""

MAX_WAIT: Final = 2.0
"""The bound of every wait in seconds, so that delivery resumes well within five seconds of the server's return."""


class Backoff:
    """Waits with full jitter: random between a tenth of a bound and the bound, which doubles each time.

    Args:
        first: The first bound, in seconds.
        maximum: The last bound, in seconds.
    """

    def __init__(self, first: float = FIRST_WAIT, maximum: float = MAX_WAIT) -> None:
        self._first = first
        self._maximum = maximum
        self._bound = first

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        bound, self._bound = self._bound, min(self._maximum, self._bound * 2)
        return random.uniform(bound / 10, bound)  # noqa: S311 - nobody gains from guessing it

    def reset(self) -> None:
        """Start again with the first bound: an attempt has succeeded."""
        self._bound = self._first
