"""What may have been lost is said: ``server.system.resync``, to whom it concerns, and not more often than it helps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

from hubbub.bus.hub import Hub
from hubbub.clock import Clock
from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.events import Resync
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Interest, Topic
from hubbub.frames import text_frame

PAUSE_SECONDS: Final = 1.0
"""The shortest time between two resyncs of a topic."""

SPREAD_SECONDS: Final = 2.0
"""The time over which a resync of everybody is spread, since each leads to a fetch over REST."""

SLICE: Final = 256
"""Sockets told before other work gets its turn."""


class Resyncs:
    """Collects what may have been lost, and tells every socket that listens to it, once.

    tell: puts a frame into the outbox of one socket.
    """

    def __init__(self, hub: Hub[Any], clock: Clock, tell: Callable[[bytes, Any], object]) -> None:
        self._hub = hub
        self._clock = clock
        self._tell = tell
        self._lost: dict[Interest, None] | None = {}  # None: everything
        self._owed: deque[tuple[Any, tuple[Topic, ...] | None]] = deque()
        self._is_scheduled = False
        self._last = float("-inf")

    def lost(self, interests: Iterable[Interest] | None) -> None:
        """Is told that what was published for some interests, or for all where it is None, may not have arrived."""
        if interests is None:
            self._lost = None
        elif self._lost is not None:
            self._lost.update(dict.fromkeys(interests))
        if not self._is_scheduled and self._lost != {}:
            self._is_scheduled = True
            self._clock.call_later(max(0.0, self._last + PAUSE_SECONDS - self._clock.monotonic()), self._begin)

    def _begin(self) -> None:
        """Finds out who is owed a resync, and begins to pay."""
        lost, self._lost = self._lost, {}
        if lost is None:
            self._owed.extend((socket, None) for socket in self._hub)
        else:
            owed: dict[Any, list[Topic]] = {}
            for interest in lost:
                topics = () if isinstance(interest, str) else (interest,)
                for socket in self._hub.listeners(interest):
                    owed.setdefault(socket, []).extend(topics)
            self._owed.extend((socket, tuple(topics)) for socket, topics in owed.items())
        self._pause = min(0.1, SPREAD_SECONDS * SLICE / max(1, len(self._owed)))
        self._pay()

    def _pay(self) -> None:
        frames: dict[tuple[Topic, ...], bytes] = {}
        for socket, topics in list(islice(self._owed, SLICE)):
            self._owed.popleft()
            if socket not in self._hub:
                continue
            if topics is None:
                topics = tuple(socket.subscriptions)
            frame = frames.get(topics)
            if frame is None:
                event: Envelope[ServerEvent] = Envelope.of(Resync(topics))
                frame = frames[topics] = text_frame(encode(event))
            self._tell(frame, socket)
        if self._owed:
            self._clock.call_later(self._pause, self._pay)
            return
        self._last = self._clock.monotonic()
        self._is_scheduled = False
        self.lost(())  # what was lost meanwhile
