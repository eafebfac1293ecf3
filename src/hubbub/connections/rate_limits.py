"""How much one socket may still send, of each kind of thing that has a rate."""

from __future__ import annotations

import math
from typing import Final

PERIOD: Final = 60.0
"""Seconds after which any bucket is full again: rates are per minute, and a burst is a minute's worth."""

EVENTS: Final = "events"
"""The kind of all events of a socket together; an event's own type is another kind, if it has a rate."""


class TokenBucket:
    """A rate with room for a burst, in two numbers. Pure: rate, burst and the time are passed in.

    It holds neither its rate nor a clock, so a bucket per socket costs no more than the two numbers.
    """

    __slots__ = ("at", "tokens")

    def __init__(self) -> None:
        self.tokens = math.inf  # full, whatever the burst is
        self.at = 0.0

    def take(self, now: float, rate: float, burst: float) -> bool:
        """Take one token and return True, or return False if there is none.

        A refusal takes nothing: a peer that asks too often still gets through at `rate`.

        Args:
            now: Seconds of a clock that never goes back.
            rate: Tokens that come back each second.
            burst: The most tokens that the bucket can hold.
        """
        tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if tokens < 1.0:
            self.tokens = tokens
            return False
        self.tokens = tokens - 1.0
        return True


class RateLimits(TokenBucket):
    """The bucket of one socket's events, and with it the buckets of other kinds. Pure: the time is passed in.

    A bucket holds what is allowed in a minute and refills evenly, so a quiet client may send a minute's worth at once.
    A socket at rest has no rate limits: they are created when it sends something, and dropped once they are full.
    """

    __slots__ = ("_others",)

    def __init__(self) -> None:
        super().__init__()
        self._others: dict[str, TokenBucket] | None = None  # a dict is larger than everything else here

    def spend(self, kind: str, now: float, per_minute: float) -> bool:
        """Take one token of a kind, and return whether there was one.

        Args:
            kind: `EVENTS`, an event's type, or another kind with a rate of its own.
            now: Seconds of a clock that never goes back.
            per_minute: The rate; the same for a kind each time.
        """
        return self.bucket(kind).take(now, per_minute / PERIOD, per_minute)

    def bucket(self, kind: str) -> TokenBucket:
        """Return the bucket of a kind; create it full if it does not exist yet."""
        if kind == EVENTS:
            return self
        if self._others is None:
            self._others = {}
        bucket = self._others.get(kind)
        if bucket is None:
            bucket = self._others[kind] = TokenBucket()
        return bucket

    def is_full(self, now: float) -> bool:
        """Return whether all buckets have had the time to fill up again."""
        others = self._others.values() if self._others else ()
        return all(bucket.at + PERIOD <= now for bucket in (self, *others))
