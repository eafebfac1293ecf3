"""Log lines about trouble that repeats: counted every time, logged now and then."""

from __future__ import annotations

import logging
import time
from typing import Final

from hubbub.metrics.stats import Stats

PAUSE_SECONDS: Final = 10.0
"""The shortest time between two lines about the same kind of trouble."""


class ThrottledLogger:
    """Counts each kind of trouble, and logs one line per kind and pause."""

    def __init__(self, stats: Stats, logger: logging.Logger) -> None:
        self.stats = stats
        self._logger = logger
        self._due: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def warn(self, code: str, message: str, *arguments: object) -> None:
        """Count an error under `code`, and log the message unless one of this code was logged a moment ago."""
        self.stats.errors[code] += 1
        now = time.monotonic()
        if now < self._due.get(code, now):
            self._suppressed[code] = self._suppressed.get(code, 0) + 1
            return
        self._due[code] = now + PAUSE_SECONDS
        suppressed = self._suppressed.pop(code, 0)
        if suppressed:
            message += f" (and {suppressed} more like it)"
        self._logger.warning(message, *arguments)


class OutageLog:
    """Logs an outage once, again if its reason changes, and its end.

    Args:
        logger: Where to log.
        failing: What a line about the outage begins with, such as `Redis at redis://host`.
        recovered: The whole line about its end.
    """

    def __init__(self, logger: logging.Logger, failing: str, recovered: str) -> None:
        self._logger = logger
        self._failing = failing
        self._recovered = recovered
        self._reason = ""

    def __bool__(self) -> bool:
        return bool(self._reason)

    def failed(self, reason: str) -> None:
        """Log why it does not work, unless the last line said so."""
        if reason != self._reason:
            self._reason = reason
            self._logger.warning("%s: %s", self._failing, reason)

    def recovered(self) -> None:
        """Log that it works again, if a line said that it did not."""
        if self._reason:
            self._logger.warning("%s", self._recovered)
            self._reason = ""
