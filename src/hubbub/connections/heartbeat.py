"""The timing wheel that pings all sockets: clients never say "I'm alive"."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

SLOTS: Final = 100
"""Slots of the wheel; each is visited once per interval."""

MAX_MISSED_PONGS: Final = 2
"""Pongs that a peer may miss before its socket is closed (seed, "Heartbeat")."""


class Beating(Protocol):
    """What the heartbeat needs of a socket."""

    heartbeat_slot: int
    """Its slot of the wheel; written by the heartbeat alone."""

    @property
    def expires_at(self) -> float:
        """When its credentials expire, in seconds since the epoch; infinity if never."""

    def beat(self) -> None:
        """Ping the peer, or close the socket if the peer has missed too many pongs."""

    def expire(self) -> None:
        """Close the socket: its credentials have expired."""


B = TypeVar("B", bound=Beating)


class Heartbeat(Generic[B]):
    """Visits every socket at least once per interval, evenly spread, and expires credentials on time.

    Pure: its owner calls `turn` every `step` seconds. A socket at rest costs one entry of one set, and its expiry
    nothing at all until the last visit before it.

    Args:
        interval: Seconds between two visits of one socket.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.step = interval / (SLOTS + 1)  # a whole turn of the wheel and a late step fit into the interval
        self.expiring: list[tuple[float, int, B]] = []  # a heap: those that expire before their next visit
        self._slots: list[set[B]] = [set() for _ in range(SLOTS)]
        self._current_slot = 0
        self._next_slot = 0  # for the next socket that is added
        self._tiebreak = count()

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def add(self, socket: B, now: float) -> None:
        """Start to visit a socket. Sockets go into the slots in turn, so a burst of connects does not ping in a burst.

        Args:
            socket: It is in no slot yet.
            now: Seconds since the epoch, like `expires_at`.
        """
        socket.heartbeat_slot = self._next_slot
        self._slots[self._next_slot].add(socket)
        self._next_slot = (self._next_slot + 1) % SLOTS
        self._watch_expiry(socket, now)

    def discard(self, socket: B) -> None:
        """Stop visiting a socket."""
        self._slots[socket.heartbeat_slot].discard(socket)

    def turn(self, now: float) -> None:
        """Turn the wheel by one slot: visit the sockets in it, and expire those that are due.

        Args:
            now: Seconds since the epoch.
        """
        sockets = list(self._slots[self._current_slot])
        self._current_slot = (self._current_slot + 1) % SLOTS
        for socket in sockets:
            socket.beat()
            self._watch_expiry(socket, now)
        while self.expiring and self.expiring[0][0] <= now:
            socket = heapq.heappop(self.expiring)[2]
            if socket in self._slots[socket.heartbeat_slot]:
                socket.expire()

    def _watch_expiry(self, socket: B, now: float) -> None:
        # Only a socket that expires before its next visit goes into the heap; every other one is looked at again by
        # then. So a long-lived token leaves no entry behind when its socket is long gone.
        if socket.expires_at <= now + self.interval + self.step:
            heapq.heappush(self.expiring, (socket.expires_at, next(self._tiebreak), socket))
