"""What goes wrong again and again: counted every time, logged now and then."""

from __future__ import annotations

import logging
import time
from typing import Final

from hubbub.metrics.stats import Stats

PAUSE_SECONDS: Final = 10.0
"""The shortest time between two lines about the same thing."""


class Complaints:
    """Counts each kind of trouble, and writes one line about it at a time."""

    def __init__(self, stats: Stats, logger: logging.Logger) -> None:
        self.stats = stats
        self._logger = logger
        self._due: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def make(self, code: str, message: str, *arguments: object) -> None:
        """Counts ``code`` among the errors, and logs the message unless one about it was logged a moment ago."""
        self.stats.errors[code] += 1
        now = time.monotonic()
        if now < self._due.get(code, now):
            self._unsaid[code] = self._unsaid.get(code, 0) + 1
            return
        self._due[code] = now + PAUSE_SECONDS
        unsaid = self._unsaid.pop(code, 0)
        if unsaid:
            message += f" (and {unsaid} more like it)"
        self._logger.warning(message, *arguments)
