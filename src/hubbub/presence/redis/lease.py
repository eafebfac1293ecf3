"""A node's lease, without I/O: under which name it writes, until when, and whether it may declare other nodes dead."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple

LEASE_SECONDS: Final = 12.0
"""How long a node counts as alive after its last renewal. Renewed once per tick, that forgives as long a silence as 15
seconds would, renewed every five."""

GAP_SECONDS: Final = 3.0
"""Renewals further apart than this are an interruption: the other nodes may have been cut off too."""

STEADY_SECONDS: Final = 5.0
"""How long a node must have renewed without interruption before it declares another one dead. After an outage that hit
every node, all of them come back first."""


class Renewal(NamedTuple):
    """What the store answers to a renewal."""

    is_held: bool
    """Whether the lease still stands."""

    now: int
    """The store's time, in ms since the epoch."""

    expired: Mapping[str, int]
    """The incarnations whose lease has ended, and when it did."""


class Lease:
    """The lease of one incarnation of a node. A node that lost its lease never takes the same incarnation up again.

    Args:
        seconds: How long the lease lasts.
        tick: The time between two renewals.
    """

    def __init__(self, seconds: float = LEASE_SECONDS, tick: float = 1.0) -> None:
        self.seconds = seconds
        self._gap = max(GAP_SECONDS, 3 * tick)
        self._suspects: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Give the node a new incarnation, which holds nothing yet."""
        self.incarnation = secrets.token_hex(8)
        """The name under which this node writes."""
        self.is_taken = False
        """Whether it was ever held. A lease that was held is kept, and not taken again."""
        self.valid_until = 0
        """Until when the store accepts what is written now, in ms by the store's clock. That is twice the lease, which
        leaves room for the clocks of a Cluster's servers; tombstones close the gap (docs/decisions/0007)."""
        self._renewed_at = float("-inf")
        self._steady_since = float("inf")
        self._suspects.clear()
        self._ends: Mapping[str, int] = {}

    @property
    def milliseconds(self) -> int:
        """Return how long the lease lasts, in ms."""
        return int(self.seconds * 1000)

    @property
    def tombstone_milliseconds(self) -> int:
        """Return how long writes of a dead incarnation are refused by name; after that they are refused by age."""
        return 2 * self.milliseconds

    def is_due(self, now: float) -> bool:
        """Return whether to renew in the middle of a long round of work."""
        return now - self._renewed_at >= self.seconds / 3

    def renewed(self, renewal: Renewal, now: float) -> None:
        """Record that the lease is held.

        Args:
            renewal: The store's answer.
            now: When the node asked, by its own clock.
        """
        if not self.is_taken or now - self._renewed_at > self._gap:
            self._steady_since = now
        self.is_taken = True
        self._renewed_at = now
        self.valid_until = renewal.now + 2 * self.milliseconds
        self._ends = renewal.expired
        self._suspects = {name: self._suspects.get(name, now) for name in renewal.expired}

    def reapable(self, now: float) -> list[str]:
        """Return the incarnations to declare dead: those whose lease had ended at an earlier renewal already."""
        if now - self._steady_since < STEADY_SECONDS:
            return []
        return [name for name, since in self._suspects.items() if since < now]

    def last_renewal_of(self, dead: str) -> float:
        """Return when a dead incarnation renewed its lease last, in seconds since the epoch."""
        return self._ends.get(dead, 0) / 1000 - self.seconds
