"""One wheel of timers for all sockets: the server pings, and clients never say "I'm alive"."""

from __future__ import annotations

import heapq
from itertools import count
from typing import Final, Generic, Protocol, TypeVar

SLOTS: Final = 100

MISSES: Final = 2
"""Pongs that may be missed before a socket is closed (seed, "Heartbeat")."""


class Beating(Protocol):
    """What the heartbeat needs of a socket."""

    heartbeat_slot: int
    """The slot of the wheel it sits in; written by the heartbeat alone."""

    @property
    def expires_at(self) -> float:
        """When its credentials expire, in seconds since the epoch; infinity where they never do."""

    def beat(self) -> None:
        """Pings the peer, or closes the socket where it has missed too many pongs."""

    def expire(self) -> None:
        """Closes the socket, since its credentials have expired."""


B = TypeVar("B", bound=Beating)


class Heartbeat(Generic[B]):
    """Visits every socket at least once per ``interval`` seconds, evenly spread, and those whose token expires on time.

    Pure: whoever owns it calls ``turn`` every ``step`` seconds. A socket at rest costs one entry of one set, and its
    expiry nothing at all until the last visit before it.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.step = interval / (SLOTS + 1)  # a whole turn and a late step fit into the interval
        self._slots: list[set[B]] = [set() for _ in range(SLOTS)]
        self._hand = 0
        self._next_slot = 0
        self._expiring: list[tuple[float, int, B]] = []
        self._tiebreak = count()

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def add(self, socket: B, now: float) -> None:
        """Starts to visit a socket. Slots are dealt out in turn, so a burst of connects does not ping in a burst.

        now: seconds since the epoch, like ``expires_at``.
        """
        socket.heartbeat_slot = self._next_slot
        self._slots[self._next_slot].add(socket)
        self._next_slot = (self._next_slot + 1) % SLOTS
        self._watch_expiry(socket, now)

    def discard(self, socket: B) -> None:
        """Stops visiting a socket."""
        self._slots[socket.heartbeat_slot].discard(socket)

    def turn(self, now: float) -> None:
        """Moves the hand by one slot: lets its sockets beat, and expires those that are due.

        now: seconds since the epoch.
        """
        sockets = list(self._slots[self._hand])
        self._hand = (self._hand + 1) % SLOTS
        for socket in sockets:
            socket.beat()
            self._watch_expiry(socket, now)
        while self._expiring and self._expiring[0][0] <= now:
            socket = heapq.heappop(self._expiring)[2]
            if socket in self._slots[socket.heartbeat_slot]:
                socket.expire()

    def _watch_expiry(self, socket: B, now: float) -> None:
        # Whoever expires before the next visit goes into the heap, everybody else is looked at again by then:
        # a long-lived token leaves no entry behind when its socket is long gone.
        if socket.expires_at <= now + self.interval + self.step:
            heapq.heappush(self._expiring, (socket.expires_at, next(self._tiebreak), socket))
