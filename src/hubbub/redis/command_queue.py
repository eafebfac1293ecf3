"""What one connection has to send to Redis: a bounded queue that knows what became of everything in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome

MAX_BYTES: Final = 16 * 1024 * 1024
"""What may wait for Redis, answers included: several seconds of a busy node, and nothing to a process's memory."""

OVERHEAD_BYTES: Final = 256
"""What a command costs beside its own bytes, so that many small ones are bounded too."""

BATCH_BYTES: Final = 64 * 1024
"""Commands that are joined into one write."""


class Parcel(NamedTuple):
    """One command on its way to Redis, whose answer tells whether it arrived."""

    command: bytes
    settle: Settle
    interest: Interest | None = None

    @property
    def size(self) -> int:
        """Gives the bytes it counts for."""
        return len(self.command) + OVERHEAD_BYTES


#: Is told what became of a command, once, and what Redis answered: an exception where that is an error.
Settle: TypeAlias = Callable[[Parcel, Outcome, object], None]


class Outbound:
    """Holds commands in order: first those to write, then those whose answer is awaited. Pure: no I/O.

    Every parcel that was put is settled exactly once: ACCEPTED or DROPPED by its answer; where the connection is lost
    first, DROPPED if it was not written, UNKNOWN if it was.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size = 0
        self._waiting: deque[Parcel] = deque()
        self._written: deque[Parcel] = deque()
        self.is_open = False
        """Whether there is a connection; without one nothing is taken."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._written)

    @property
    def size(self) -> int:
        """Gives the bytes held, overhead included."""
        return self._size

    def put(self, parcel: Parcel) -> bool:
        """Takes a command at the end; tells whether there was a connection and room. If not, it is not settled."""
        size = parcel.size
        if not self.is_open or self._size + size > self._max_bytes:
            return False
        self._size += size
        self._waiting.append(parcel)
        return True

    def put_first(self, parcel: Parcel) -> None:
        """Takes a command that goes before all others and always has room: one that tells whether Redis is there."""
        self._size += parcel.size
        self._waiting.appendleft(parcel)

    def batch(self) -> bytes:
        """Gives the next commands to write, joined; from here on their answers are awaited. Empty where none wait."""
        size, commands = 0, []
        while self._waiting and size < BATCH_BYTES:
            parcel = self._waiting.popleft()
            self._written.append(parcel)
            commands.append(parcel.command)
            size += len(parcel.command)
        return b"".join(commands)

    def answered(self, answer: object) -> bool:
        """Settles the oldest command that was written; False where nothing was asked."""
        if not self._written:
            return False
        parcel = self._written.popleft()
        self._size -= parcel.size
        parcel.settle(parcel, Outcome.DROPPED if isinstance(answer, Exception) else Outcome.ACCEPTED, answer)
        return True

    def close(self) -> None:
        """Settles everything: the connection is lost."""
        self.is_open = False
        written, self._written = self._written, deque()
        waiting, self._waiting = self._waiting, deque()
        self._size = 0
        for parcel in written:
            parcel.settle(parcel, Outcome.UNKNOWN, None)
        for parcel in waiting:
            parcel.settle(parcel, Outcome.DROPPED, None)
