"""Resyncs after a loss: which sockets get one, for which topics, and how often."""

from __future__ import annotations

import json

import pytest

from hubbub.bus.hub import Hub
from hubbub.bus.resync import SLICE, ResyncScheduler
from hubbub.contract.topics import Interest, Topic
from hubbub.testing import ManualClock
from tests.fakes import FakeSocket

C, D = Topic("conversation", "c"), Topic("conversation", "d")


class RecordedResyncs:
    """A hub, and the resyncs that its sockets were sent."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub: Hub[FakeSocket] = Hub()
        self.sent: list[tuple[str, set[str]]] = []
        self.scheduler = ResyncScheduler(self.hub, self.clock, self.record)

    def socket(self, id: str, *topics: Topic, user: str = "alice") -> FakeSocket:
        socket = FakeSocket(user, id)
        self.hub.register(socket)
        self.hub.replace(socket, topics)
        return socket

    def record(self, frame: bytes, socket: FakeSocket) -> None:
        event = json.loads(frame[frame.index(b"{") :])
        assert event["type"] == "server.system.resync"
        self.sent.append((socket.socket_id, {topic["id"] for topic in event["data"]["topics"]}))


@pytest.fixture
def recorded() -> RecordedResyncs:
    return RecordedResyncs()


LOST: list[tuple[list[Interest] | None, list[tuple[str, set[str]]]]] = [
    ([C], [("s1", {"c"}), ("s2", {"c"})]),
    ([C, D], [("s1", {"c", "d"}), ("s2", {"c"})]),
    (["bob"], [("s2", set())]),  # a loss of a user's events affects no topic
    (["bob", D], [("s1", {"d"}), ("s2", set())]),
    (None, [("s1", {"c", "d"}), ("s2", {"c"}), ("s3", set())]),
    ([Topic("conversation", "unheard")], []),
    ([], []),
]


@pytest.mark.parametrize(("lost", "expected"), LOST)
def test_a_socket_gets_a_resync_for_those_of_its_topics_that_were_lost(
    recorded: RecordedResyncs, lost: list[Interest] | None, expected: list[tuple[str, set[str]]]
) -> None:
    recorded.socket("s1", C, D)
    recorded.socket("s2", C, user="bob")
    recorded.socket("s3", user="carol")

    recorded.scheduler.on_loss(lost)
    recorded.clock.advance(0)

    assert sorted(recorded.sent) == expected


def test_a_topic_is_resynced_at_most_once_a_second_and_never_skipped(recorded: RecordedResyncs) -> None:
    recorded.socket("s1", C, D)
    recorded.scheduler.on_loss([C])
    recorded.clock.advance(0)
    recorded.sent.clear()

    recorded.scheduler.on_loss([C])
    recorded.scheduler.on_loss([D])
    recorded.scheduler.on_loss([C])
    recorded.clock.advance(0.9)
    assert recorded.sent == []
    recorded.clock.advance(0.2)
    assert recorded.sent == [("s1", {"c", "d"})]
    recorded.clock.advance(10)
    assert len(recorded.sent) == 1


def test_every_socket_gets_its_resync_in_slices_within_two_seconds(recorded: RecordedResyncs) -> None:
    count = 3 * SLICE
    sockets = [recorded.socket(f"s{number}", C) for number in range(count)]
    recorded.scheduler.on_loss(None)

    recorded.clock.advance(0)
    assert len(recorded.sent) == SLICE
    recorded.hub.unregister(sockets[-1])  # it closes before its slice
    recorded.clock.advance(2)
    assert len(recorded.sent) == count - 1


def test_a_loss_during_a_resync_is_followed_by_another_resync(recorded: RecordedResyncs) -> None:
    for number in range(2 * SLICE):
        recorded.socket(f"s{number}", C)
    recorded.scheduler.on_loss([C])
    recorded.clock.advance(0)

    recorded.scheduler.on_loss([C])
    recorded.clock.advance(10)

    assert len(recorded.sent) == 4 * SLICE
