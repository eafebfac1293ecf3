"""What waits to be written: frames are coalesced and written once per socket and turn of the event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import length_hint
from time import perf_counter
from typing import Final, Generic, Protocol, TypeAlias, TypeVar, cast

from hubbub.metrics.stats import Stats

SLICE: Final = 256
"""Sockets written to before other work gets its turn; a slice takes 1 to 2 ms."""

PAUSE_PER_SOCKET: Final = 1e-4
"""Seconds that pass after a flush for each socket it has written to: some eight times what a write takes."""

HANDFUL: Final = 16
"""Sockets that a flush writes to in so short a time that it is not worth a turn of the loop to measure it."""


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

#: Sockets, and the frames that follow one another to all of them. A plain tuple, as one is made for most events.
Batch: TypeAlias = tuple[Sequence[S], list[bytes]]


class WriteBatcher(Generic[S]):
    """Collects frames and flushes them together.

    The system call is what a delivery costs, so the frames that one loop turn brings for a socket leave in one write.
    The first event after quiet leaves in the same turn; under load flushes keep a distance that grows with the sockets
    they write to, up to ``interval`` seconds: a handful of sockets hardly wait, and a crowd gets more in one write.
    Frames leave each socket in the order in which they were put.

    Most turns bring one event, or many to the same sockets: they wait once for all of them, as a run, and no socket is
    touched before it is written to. Only where several runs meet are they settled: spread over their sockets.
    """

    def __init__(self, scheduler: Scheduler, interval: float, stats: Stats) -> None:
        self._scheduler = scheduler
        self._interval = interval
        self._stats = stats
        self._batches: list[Batch[S]] = []
        self._unwritten: Iterator[S] = iter(())  # of the run being written, whose bytes are:
        self._bytes = b""
        self._dirty: deque[S] = deque()  # the sockets with something pending; before any run
        self._scheduled = False
        self._earliest = float("-inf")  # the next flush
        self._began = 0.0  # the flush under way, in seconds of perf_counter
        self._written = 0  # sockets, by it

    def put(self, frame: bytes, sockets: Sequence[S]) -> int:
        """Sends one frame to each of the sockets; gives their number. The sequence must not change afterwards."""
        if not sockets:
            return 0
        batches = self._batches
        if batches and batches[-1][0] is sockets:
            batches[-1][1].append(frame)
        else:
            batches.append((sockets, [frame]))
        if not self._scheduled:
            self._schedule()
        return len(sockets)

    def send(self, frame: bytes, socket: S) -> None:
        """Sends one frame to one socket."""
        self._spread()
        self._append(frame, socket)
        if not self._scheduled:
            self._schedule()

    def flush(self, socket: S) -> None:
        """Writes what waits for one socket now: a change of its membership must not overtake it."""
        self._spread()
        pending = socket.pending
        if pending is not None:
            socket.pending = None
            socket.write(b"".join(pending) if type(pending) is list else cast(bytes, pending))

    def discard(self, socket: S) -> None:
        """Forgets what waits for a socket that will not be written to again."""
        self._spread()
        socket.pending = None

    def _spread(self) -> None:
        """Hands what waits for many to each of them."""
        for socket in self._unwritten:
            self._append(self._bytes, socket)
        for sockets, frames in self._batches:
            joined = b"".join(frames)
            for socket in sockets:
                self._append(joined, socket)
        self._batches.clear()

    def _append(self, data: bytes, socket: S) -> None:
        pending = socket.pending
        if pending is None:
            socket.pending = data
            self._dirty.append(socket)
        elif type(pending) is list:
            pending.append(data)
        else:
            socket.pending = [cast(bytes, pending), data]

    def _schedule(self) -> None:
        self._scheduled = True
        delay = self._earliest - self._scheduler.time()
        if delay > 0:
            self._scheduler.call_later(delay, self._flush_slice)
        else:
            self._scheduler.call_soon(self._flush_slice)

    def _flush_slice(self) -> None:
        """Writes to at most one slice of sockets, then lets the loop turn before it goes on."""
        if not self._written:
            self._began = perf_counter()
        try:
            if not length_hint(self._unwritten):
                if len(self._batches) == 1 and not self._dirty:
                    sockets, frames = self._batches.pop()
                    self._unwritten, self._bytes = iter(sockets), b"".join(frames)
                else:
                    self._spread()
            if self._dirty:
                self._written += min(SLICE, len(self._dirty))
                self._write_pending()
            else:
                self._written += min(SLICE, length_hint(self._unwritten))
                data = self._bytes
                for socket in islice(self._unwritten, SLICE):
                    write = socket.write  # CPython 3.11 calls a local faster than it calls a slot
                    write(data)
        finally:  # whatever one write does, the others get theirs
            if self._dirty or length_hint(self._unwritten):
                self._scheduler.call_soon(self._flush_slice)
            else:
                self._unwritten, self._bytes = iter(()), b""  # a finished iterator may still hold its sockets
                written, self._written = self._written, 0
                self._stats.flush_sockets.observe(written)
                if written > HANDFUL:  # a turn later uvloop has made the system calls of what it was handed
                    self._scheduler.call_soon(self._measure)
                self._earliest = self._scheduler.time() + min(self._interval, PAUSE_PER_SOCKET * written)
                self._scheduled = False
                if self._batches:
                    self._schedule()

    def _measure(self) -> None:
        self._stats.flush_seconds.observe(perf_counter() - self._began)

    def _write_pending(self) -> None:
        dirty = self._dirty
        joined, parts = b"", list[bytes]()
        for _ in range(min(SLICE, len(dirty))):
            socket = dirty.popleft()
            pending = socket.pending
            if pending is None:
                continue
            socket.pending = None
            write = socket.write
            if type(pending) is list:
                # Subscribers of the same topics have equal lists: join them once, and share the bytes.
                if pending != parts:
                    joined, parts = b"".join(pending), pending
                write(joined)
            else:
                write(cast(bytes, pending))
