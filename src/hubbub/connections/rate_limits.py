"""What one socket may still send, of each kind of thing that has a rate."""

from __future__ import annotations

from typing import Final

from hubbub.connections.token_bucket import TokenBucket

PERIOD: Final = 60.0
"""Seconds after which a bucket is full again, whatever its rate: rates are given per minute, and so is the burst."""

EVENTS: Final = "events"
"""The kind that all events of a socket count as, beside their own types where these have a rate."""


class Allowance(TokenBucket):
    """The bucket of one socket's events, and with it those of other kinds. Pure: rates and the time are passed in.

    A bucket holds what is allowed in a minute and fills evenly, so who has been quiet may send a minute's worth at
    once. A socket at rest has no allowance at all: it is made with the first thing sent, and dropped when it is full.
    """

    __slots__ = ("_others",)

    def __init__(self) -> None:
        super().__init__()
        self._others: dict[str, TokenBucket] | None = None  # a dict is larger than everything else here

    def spend(self, kind: str, now: float, per_minute: float) -> bool:
        """Takes one of a kind, and tells whether it was still allowed.

        now: seconds of a clock that never goes back. per_minute: the same for a kind each time.
        """
        bucket = self if kind == EVENTS else self._other(kind)
        return bucket.take(now, per_minute / PERIOD, per_minute)

    def is_full(self, now: float) -> bool:
        """Tells whether nothing was taken for so long that all of it is there again."""
        others = self._others.values() if self._others else ()
        return all(bucket.at + PERIOD <= now for bucket in (self, *others))

    def _other(self, kind: str) -> TokenBucket:
        if self._others is None:
            self._others = {}
        bucket = self._others.get(kind)
        if bucket is None:
            bucket = self._others[kind] = TokenBucket()
        return bucket
