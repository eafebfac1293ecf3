"""Frames that wait to be written: they are coalesced, and written once per socket and turn of the event loop."""

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
"""Seconds between two flushes for each socket that the first one wrote to: about eight times what a write takes."""

MEASURED_ABOVE: Final = 16
"""A flush to so few sockets is so short that measuring it is not worth a turn of the loop."""


class Sink(Protocol):
    """What the batcher needs of a socket."""

    pending: bytes | list[bytes] | None
    """What waits for the next flush: None at rest, a single frame as it is, several in a list, oldest first."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Write bytes to the socket's transport."""


class Scheduler(Protocol):
    """What the batcher needs of the event loop."""

    def time(self) -> float:
        """Return the loop's time in seconds."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Call back in the next turn."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> object:
        """Call back after `delay` seconds."""


S = TypeVar("S", bound=Sink)

Batch: TypeAlias = tuple[Sequence[S], list[bytes]]
"""Sockets, and the frames that go to all of them, in order. A plain tuple, since most events need a new one."""


class WriteBatcher(Generic[S]):
    """Collects frames and flushes them together.

    A delivery costs what its system call costs, so all frames of one loop turn for a socket leave in one write. The
    first event after quiet leaves in the same turn. Under load, flushes keep a distance that grows with the number of
    sockets, up to `interval` seconds: few sockets hardly wait, and many get more in one write. Frames leave each
    socket in the order in which they were put (docs/decisions/0002 and 0011).

    Most turns bring one event, or several to the same sockets. These wait once for all their sockets, as a batch, and
    no socket is touched before it is written to. Only if several batches wait are they spread over their sockets.

    Args:
        scheduler: The event loop.
        interval: The longest distance between two flushes, in seconds; 0 flushes in every turn.
        stats: Measures flushes.
    """

    def __init__(self, scheduler: Scheduler, interval: float, stats: Stats) -> None:
        self._scheduler = scheduler
        self._interval = interval
        self._stats = stats
        self._batches: list[Batch[S]] = []
        self._unwritten: Iterator[S] = iter(())  # of the batch being written, whose bytes are:
        self._bytes = b""
        self._dirty: deque[S] = deque()  # the sockets with something pending; they come before any batch
        self._scheduled = False
        self._earliest = float("-inf")  # the next flush
        self._began = 0.0  # the flush under way, in seconds of perf_counter
        self._written = 0  # sockets, by it

    def put(self, frame: bytes, sockets: Sequence[S]) -> int:
        """Send one frame to each of the sockets; return their number. The sequence must not change afterwards."""
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
        """Send one frame to one socket."""
        self._spread()
        self._append(frame, socket)
        if not self._scheduled:
            self._schedule()

    def flush(self, socket: S) -> None:
        """Write now what waits for one socket, so that a change of its subscriptions cannot overtake it."""
        self._spread()
        pending = socket.pending
        if pending is not None:
            socket.pending = None
            socket.write(b"".join(pending) if type(pending) is list else cast(bytes, pending))

    def discard(self, socket: S) -> None:
        """Forget what waits for a socket that will not be written to again."""
        self._spread()
        socket.pending = None

    def _spread(self) -> None:
        """Spread what waits in batches over their sockets."""
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
        """Write to at most one slice of sockets, and let the loop turn before the next slice."""
        if not self._written:  # the first slice of a flush
            self._began = perf_counter()
        try:
            if not length_hint(self._unwritten):
                # A single batch needs no spreading: nothing else waits that it could overtake (docs/decisions/0002).
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
        finally:  # not `except`: the error is reported, and the other sockets still get their frames
            if self._dirty or length_hint(self._unwritten):
                self._scheduler.call_soon(self._flush_slice)
            else:
                self._unwritten, self._bytes = iter(()), b""  # a finished iterator may still hold its sockets
                written, self._written = self._written, 0
                self._stats.flush_sockets.observe(written)
                if written > MEASURED_ABOVE:  # a turn later uvloop has made the system calls
                    self._scheduler.call_soon(self._measure)
                # The pause grows with the sockets written to: they are what it saves writes for (docs/decisions/0011).
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
