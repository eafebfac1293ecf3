"""What waits to be written: frames are coalesced per socket and written once per turn of the event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, Protocol, TypeVar, cast

SLICE: Final = 256
"""Sockets written to before other work gets its turn; a slice takes 1 to 2 ms."""


class Sink(Protocol):
    """What the outbox needs of a socket."""

    pending: bytes | list[bytes] | None
    """What waits for the next flush: None at rest, one frame as it is, more of them in a list, oldest first."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Hands bytes to the socket's transport."""


class Scheduler(Protocol):
    """What the outbox needs of the event loop."""

    def time(self) -> float:
        """Gives the loop's time in seconds."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Calls back in the next turn."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        """Calls back after ``delay`` seconds."""


S = TypeVar("S", bound=Sink)


class Outbox(Generic[S]):
    """Collects frames per socket and flushes them together.

    The system call is what a delivery costs, so the frames that one loop turn brings for a socket leave in one write.
    The first event after quiet leaves in the same turn; under load a flush follows the last one after ``interval``
    seconds at the earliest. Frames leave each socket in the order in which they were put.
    """

    def __init__(self, scheduler: Scheduler, interval: float) -> None:
        self._scheduler = scheduler
        self._interval = interval
        self._dirty: deque[S] = deque()
        self._scheduled = False
        self._last_flush = float("-inf")

    def put(self, frame: bytes, sockets: Iterable[S]) -> int:
        """Appends one frame to the pending list of each socket; gives their number."""
        dirty = self._dirty
        count = 0
        for socket in sockets:
            pending = socket.pending
            if pending is None:
                socket.pending = frame
                dirty.append(socket)
            elif type(pending) is list:
                pending.append(frame)
            else:
                socket.pending = [cast(bytes, pending), frame]
            count += 1
        if dirty and not self._scheduled:
            self._schedule()
        return count

    def flush(self, socket: S) -> None:
        """Writes what is pending for one socket now: a change of its membership must not overtake it."""
        pending = socket.pending
        if pending is not None:
            socket.pending = None
            socket.write(b"".join(pending) if type(pending) is list else cast(bytes, pending))

    def discard(self, socket: S) -> None:
        """Forgets what is pending for a socket that will not be written to again."""
        socket.pending = None

    def _schedule(self) -> None:
        self._scheduled = True
        delay = self._last_flush + self._interval - self._scheduler.time()
        if delay > 0:
            self._scheduler.call_later(delay, self._flush_slice)
        else:
            self._scheduler.call_soon(self._flush_slice)

    def _flush_slice(self) -> None:
        """Writes to at most one slice of sockets, then lets the loop turn before it goes on."""
        self._last_flush = self._scheduler.time()
        dirty = self._dirty
        joined, parts = b"", list[bytes]()
        try:
            for _ in range(min(SLICE, len(dirty))):
                socket = dirty.popleft()
                pending = socket.pending
                if pending is None:
                    continue
                socket.pending = None
                write = socket.write  # CPython 3.11 calls a local faster than it calls a slot
                if type(pending) is list:
                    # Subscribers of the same topics have equal lists: join them once, and share the bytes.
                    if pending != parts:
                        joined, parts = b"".join(pending), pending
                    write(joined)
                else:
                    write(cast(bytes, pending))
        finally:  # whatever one write does, the others get theirs
            if dirty:
                self._scheduler.call_soon(self._flush_slice)
            else:
                self._scheduled = False
