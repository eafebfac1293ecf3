"""A node's lease, without I/O: under which name it writes, until when, and whether it may declare others dead."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final, NamedTuple

LEASE_SECONDS: Final = 12.0
"""How long a node is taken to live after its last beat. With a beat per tick that forgives as long a silence as 15
seconds would, renewed every five."""

GAP_SECONDS: Final = 3.0
"""Beats further apart than this are an interruption: the others may have been cut off too."""

STEADY_SECONDS: Final = 5.0
"""How long a node must have beaten without interruption before it declares another one dead: after an outage that all
have seen, everybody comes back first."""


class Beat(NamedTuple):
    """What the store answers to a beat.

    is_held: whether the lease still stands. now: the store's time, in ms since the epoch. dead: the incarnations whose
    lease has ended, and when.
    """

    is_held: bool
    now: int
    dead: Mapping[str, int]


class Lease:
    """The lease of one incarnation of a node. An incarnation that was lost is never taken up again.

    seconds: how long it is. tick: the time between two beats.
    """

    def __init__(self, seconds: float = LEASE_SECONDS, tick: float = 1.0) -> None:
        self.seconds = seconds
        self._gap = max(GAP_SECONDS, 3 * tick)
        self._suspects: dict[str, float] = {}
        self.begin_again()

    def begin_again(self) -> None:
        """Gives the node another incarnation, which holds nothing yet."""
        self.incarnation = secrets.token_hex(8)
        """Under which name this node writes."""
        self.is_taken = False
        """Whether it was ever held: a lease that was is kept, and not taken again."""
        self.valid_until = 0
        """Until when what is written now is to be accepted, in ms by the store's clock. It is twice as long as the
        lease, which leaves room for the clocks of a Cluster's servers; tombstones close the gap."""
        self._beaten_at = float("-inf")
        self._steady_since = float("inf")
        self._suspects.clear()
        self._ends: Mapping[str, int] = {}

    @property
    def milliseconds(self) -> int:
        """Gives how long the lease is, as the store counts."""
        return int(self.seconds * 1000)

    @property
    def tombstone_milliseconds(self) -> int:
        """Gives how long what a dead incarnation sends is refused by name: by then it is refused by its age."""
        return 2 * self.milliseconds

    def is_due(self, now: float) -> bool:
        """Tells whether a beat is due in the middle of a long round of work."""
        return now - self._beaten_at >= self.seconds / 3

    def beaten(self, beat: Beat, now: float) -> None:
        """Takes in that the lease is held. now: when that was asked, in the node's own time."""
        if not self.is_taken or now - self._beaten_at > self._gap:
            self._steady_since = now
        self.is_taken = True
        self._beaten_at = now
        self.valid_until = beat.now + 2 * self.milliseconds
        self._ends = beat.dead
        self._suspects = {name: self._suspects.get(name, now) for name in beat.dead}

    def reapable(self, now: float) -> list[str]:
        """Gives the incarnations to declare dead: those that were without a lease in an earlier beat already."""
        if now - self._steady_since < STEADY_SECONDS:
            return []
        return [name for name, since in self._suspects.items() if since < now]

    def last_beat_of(self, dead: str) -> float:
        """Gives when a dead incarnation was heard of last, in seconds since the epoch: it has had a lease since."""
        return self._ends.get(dead, 0) / 1000 - self.seconds
