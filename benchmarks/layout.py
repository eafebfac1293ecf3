"""Which socket subscribes to which topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks import scenario
from benchmarks.scenario import BUSY_SOCKETS, REST_SOCKETS, ROOM_SIZE


class Topic(NamedTuple):
    """A topic, as on the wire. All ids have twelve characters, so that all events have the same size."""

    kind: str
    id: str


EVERYBODY: Final = Topic("conversation", scenario.CONVERSATION)
BUSY: Final = Topic("conversation", "busy-channel")
REST: Final = Topic("conversation", "rest-channel")
QUIET: Final = Topic("conversation", "quiet-topic-")


def room(number: int) -> Topic:
    """Return the topic of one room."""
    return Topic("conversation", f"room-{number:07d}")


@dataclass(frozen=True)
class Layout:
    """A number of sockets, each with its own user, and their topics."""

    sockets: int

    @property
    def in_rooms(self) -> int:
        """Return how many sockets, counted from the first, are in rooms where users type."""
        return 0

    def topics(self, index: int) -> Sequence[Topic]:
        """Return the topics of one socket: its own user and the conversation of all."""
        return (Topic("user", scenario.user_id(index)), EVERYBODY)

    def room(self, index: int) -> Topic:
        """Return the room of one socket."""
        return room(index // ROOM_SIZE)


@dataclass(frozen=True)
class Bare(Layout):
    """Sockets without subscriptions."""

    def topics(self, index: int) -> Sequence[Topic]:
        """Return no topics."""
        return ()


@dataclass(frozen=True)
class Crowd(Layout):
    """All in one conversation and in rooms of ten; 100 also in a busy topic, ten more in one that REST publishes to."""

    @property
    def in_rooms(self) -> int:
        """Return how many sockets are in rooms where users type: all."""
        return self.sockets

    def topics(self, index: int) -> Sequence[Topic]:
        """Return the topics of one socket."""
        usual = (self.room(index), EVERYBODY)
        if index < BUSY_SOCKETS:
            return (*usual, BUSY)
        return (*usual, REST) if index < BUSY_SOCKETS + REST_SOCKETS else usual


@dataclass(frozen=True)
class Rooms(Layout):
    """All in rooms of ten; the first `gathered` also in one conversation."""

    gathered: int = 0

    def topics(self, index: int) -> Sequence[Topic]:
        """Return the topics of one socket."""
        return (self.room(index), EVERYBODY if index < self.gathered else QUIET)
