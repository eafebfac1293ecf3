"""Fakes for the surroundings of pure logic: no network, no real time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Set
from dataclasses import dataclass, field

from hubbub.context import Context
from hubbub.contract.topics import Topic


@dataclass(eq=False)
class FakeSocket:
    """A socket as the hub, the write batcher and the heartbeat see it."""

    user_id: str = "alice"
    socket_id: str = "s1"
    expires_at: float = float("inf")
    heartbeat_slot: int = 0
    pending: bytes | list[bytes] | None = None
    subscriptions: dict[Topic, None] = field(default_factory=dict)
    written: list[bytes] = field(default_factory=list)
    beats: int = 0
    has_expired: bool = False
    write: Callable[[bytes], object] = dataclasses.field(init=False)
    context: Context = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.write = self.written.append
        view: Set[Topic] = self.subscriptions.keys()
        self.context = Context(self.user_id, self.socket_id, 0, view)

    def beat(self) -> None:
        self.beats += 1

    def expire(self) -> None:
        self.has_expired = True


class FakeLoop:
    """An event loop whose callbacks run only in `turn`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.calls.append((self.now, callback))

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.calls.append((self.now + delay, callback))

    def turn(self, seconds: float = 0.0) -> None:
        """Advance the time and run the callbacks that are due, but none that these schedule."""
        self.now += seconds
        due = [call for when, call in self.calls if when <= self.now]
        self.calls = [(when, call) for when, call in self.calls if when > self.now]
        for call in due:
            call()
