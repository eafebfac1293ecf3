"""What happens every so many seconds on a node: the heartbeat's wheel, presence, what is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hubbub.clock import Clock, Timer
from hubbub.metrics.stats import Stats

logger = logging.getLogger("hubbub.ticks")


class PeriodicTimers:
    """Calls things regularly, whatever one of them raises."""

    def __init__(self, clock: Clock, stats: Stats) -> None:
        self._clock = clock
        self._stats = stats
        self._timers: dict[str, Timer] = {}

    def every(self, seconds: float, name: str, call: Callable[[], object]) -> None:
        """Calls every ``seconds``, without drift; a loop that was late does not catch up in a burst."""
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
        """Calls nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
