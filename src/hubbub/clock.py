"""The clock that everything here asks for the time: the system's, or in tests one that is moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Cancel the call; do nothing if it was made already."""


class Clock(Protocol):
    """What Hubbub asks about time. All values are seconds."""

    def monotonic(self) -> float:
        """Return a time that never goes back, for intervals."""

    def time(self) -> float:
        """Return the time since the epoch, for the wire and for tokens."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back on the event loop after `delay` seconds."""


class SystemClock:
    """The real time of this machine and its running event loop."""

    def monotonic(self) -> float:
        """Return the time of the machine's monotonic clock."""
        return time.monotonic()

    def time(self) -> float:
        """Return the time since the epoch."""
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running event loop; must be called on it."""
        return asyncio.get_running_loop().call_later(delay, callback)
