"""How long to wait before the next attempt: longer each time, and never at the same moment as everybody else."""

from __future__ import annotations

import random
from typing import Final

FIRST_SECONDS: Final = 0.1
"""The bound of the first wait: most interruptions are a restart of the server or of something in between."""

MOST_SECONDS: Final = 2.0
"""The bound of every wait, so that delivery begins well within five seconds of the server's return."""


class Backoff:
    """Gives waits with full jitter: evenly between nothing and a bound that doubles."""

    def __init__(self, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> None:
        self._first = first
        self._most = most
        self._bound = first

    def next(self) -> float:
        """Gives the seconds to wait before the next attempt."""
        bound, self._bound = self._bound, min(self._most, self._bound * 2)
        return random.uniform(bound / 10, bound)  # noqa: S311 - nobody gains from guessing it

    def reset(self) -> None:
        """Begins again: an attempt has succeeded."""
        self._bound = self._first
