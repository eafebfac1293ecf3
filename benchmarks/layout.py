"""Who listens to what: how the sockets of a stage are spread over topics, the same for every server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks import workload
from benchmarks.workload import BUSY_SOCKETS, REST_SOCKETS, ROOM_SIZE


class Topic(NamedTuple):
    """A topic, as the wire names it. Ids have twelve characters each, so that events have one size."""

    kind: str
    id: str


EVERYBODY: Final = Topic("conversation", workload.CONVERSATION)
BUSY: Final = Topic("conversation", "busy-channel")
REST: Final = Topic("conversation", "rest-channel")
QUIET: Final = Topic("conversation", "quiet-topic-")


def room(number: int) -> Topic:
    """Gives the topic of one room."""
    return Topic("conversation", f"room-{number:07d}")


@dataclass(frozen=True)
class Layout:
    """So many sockets, each a user's, each with topics."""

    sockets: int

    @property
    def in_rooms(self) -> int:
        """Gives how many sockets, from the first on, are in rooms where people type."""
        return 0

    def topics(self, index: int) -> Sequence[Topic]:
        """Gives the topics of one socket: here their own user's, and the conversation of all."""
        return (Topic("user", workload.user_id(index)), EVERYBODY)

    def room(self, index: int) -> Topic:
        """Gives the room of one socket."""
        return room(index // ROOM_SIZE)


@dataclass(frozen=True)
class Bare(Layout):
    """Sockets that nobody hears of: they subscribe to nothing."""

    def topics(self, index: int) -> Sequence[Topic]:
        """Gives no topics."""
        return ()


@dataclass(frozen=True)
class Crowd(Layout):
    """All in one conversation and in rooms of ten; 100 also in a busy topic, ten more in one that REST writes to."""

    @property
    def in_rooms(self) -> int:
        """Gives how many sockets are in rooms where people type: all."""
        return self.sockets

    def topics(self, index: int) -> Sequence[Topic]:
        """Gives the topics of one socket."""
        usual = (self.room(index), EVERYBODY)
        if index < BUSY_SOCKETS:
            return (*usual, BUSY)
        return (*usual, REST) if index < BUSY_SOCKETS + REST_SOCKETS else usual


@dataclass(frozen=True)
class Rooms(Layout):
    """All in rooms of ten; the first ``gathered`` also in one conversation."""

    gathered: int = 0

    def topics(self, index: int) -> Sequence[Topic]:
        """Gives the topics of one socket."""
        return (self.room(index), EVERYBODY if index < self.gathered else QUIET)
