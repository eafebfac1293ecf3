"""What a node does every few seconds: turn the heartbeat's wheel, announce presence, retry commands."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hubbub.clock import Clock, Timer
from hubbub.metrics.stats import Stats

logger = logging.getLogger("hubbub.ticks")


class PeriodicTimers:
    """Calls functions at regular intervals. An exception of one is logged and counted, and stops nothing."""

    def __init__(self, clock: Clock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats
        self._timers: dict[str, Timer] = {}

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Call every `seconds`, without drift; if the loop was late, the missed calls do not come in a burst.

        Args:
            seconds: The interval; the first call comes after one.
            name: For the log, and what `Stats.errors` counts exceptions as.
            call: The function.
        """
        due = self._clock.monotonic() + seconds

        def tick() -> None:
            nonlocal due
            now = self._clock.monotonic()
            self._stats.loop_lag_seconds.observe(max(0.0, now - due))
            due = max(due + seconds, now)
            self._timers[name] = self._clock.call_later(due - now, tick)
            try:
                call()
            except Exception:
                self._stats.errors[name] += 1
                logger.exception("the %s tick failed", name)

        self._timers[name] = self._clock.call_later(seconds, tick)

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
