"""A token bucket: how often something may happen, with room for a burst."""

from __future__ import annotations

import math


class TokenBucket:
    """Two numbers: what is left, and since when it refills. Pure: rate, burst and the time are passed in.

    It holds neither its rate nor a clock, so that a bucket per socket costs no more than the two numbers.
    """

    __slots__ = ("at", "tokens")

    def __init__(self) -> None:
        self.tokens = math.inf  # full, whatever the burst is
        self.at = 0.0

    def take(self, now: float, rate: float, burst: float) -> bool:
        """Takes one token where there is one, and tells whether there was.

        now: seconds of a clock that never goes back. rate: tokens that come back a second. burst: what it can hold.
        A refusal takes nothing: who asks too often is let through at ``rate`` all the same.
        """
        tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if tokens < 1.0:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True
