"""Resyncs for the sockets of this node: when events may be lost, `server.system.resync` tells their listeners so."""

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
"""The time over which a resync of every socket is spread, since each one leads to a fetch over REST."""

SLICE: Final = 256
"""Sockets that get a resync before other work gets its turn."""


class ResyncScheduler:
    """Collects what may be lost, and sends one resync to every socket that listens to it.

    Args:
        hub: The sockets of this node.
        clock: The time.
        send: Sends a frame to one socket.
    """

    def __init__(self, hub: Hub[Any], clock: Clock, send: Callable[[bytes, Any], object]) -> None:
        self._hub = hub
        self._clock = clock
        self._send = send
        self._lost: dict[Interest, None] | None = {}  # None: everything
        self._pending: deque[tuple[Any, tuple[Topic, ...] | None]] = deque()  # sockets, and topics, None for all
        self._pause = 0.0
        self._is_scheduled = False
        self._last = float("-inf")

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Schedule resyncs for interests whose publications may not have arrived; None means for all."""
        if interests is None:
            self._lost = None
        elif self._lost is not None:
            self._lost.update(dict.fromkeys(interests))
        if not self._is_scheduled and self._lost != {}:
            self._is_scheduled = True
            self._clock.call_later(max(0.0, self._last + PAUSE_SECONDS - self._clock.monotonic()), self._begin)

    def _begin(self) -> None:
        """Find the sockets that need a resync, and begin to send."""
        lost, self._lost = self._lost, {}
        if lost is None:
            self._pending.extend((socket, None) for socket in self._hub)
        else:
            topics_by_socket: dict[Any, list[Topic]] = {}
            for interest in lost:
                topics = () if isinstance(interest, str) else (interest,)
                for socket in self._hub.listeners(interest):
                    topics_by_socket.setdefault(socket, []).extend(topics)
            self._pending.extend((socket, tuple(topics)) for socket, topics in topics_by_socket.items())
        self._pause = min(0.1, SPREAD_SECONDS * SLICE / max(1, len(self._pending)))
        self._send_slice()

    def _send_slice(self) -> None:
        frames: dict[tuple[Topic, ...], bytes] = {}
        for socket, topics in list(islice(self._pending, SLICE)):
            self._pending.popleft()
            if socket not in self._hub:
                continue
            if topics is None:
                topics = tuple(socket.subscriptions)
            frame = frames.get(topics)
            if frame is None:
                event: Envelope[ServerEvent] = Envelope.of(Resync(topics))
                frame = frames[topics] = text_frame(encode(event))
            self._send(frame, socket)
        if self._pending:
            self._clock.call_later(self._pause, self._send_slice)
            return
        self._last = self._clock.monotonic()
        self._is_scheduled = False
        self.on_loss(())  # what was lost since
