"""Saying what may have been lost: to whom, once, and how often."""

from __future__ import annotations

import json

import pytest

from hubbub.bus.hub import Hub
from hubbub.bus.resync import SLICE, ResyncScheduler
from hubbub.contract.topics import Interest, Topic
from hubbub.testing import ManualClock
from tests.fakes import FakeSocket

C, D = Topic("conversation", "c"), Topic("conversation", "d")


class World:
    """A hub, and what its sockets were told."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.hub: Hub[FakeSocket] = Hub()
        self.told: list[tuple[str, set[str]]] = []
        self.scheduler = ResyncScheduler(self.hub, self.clock, self.tell)

    def socket(self, id: str, *topics: Topic, user: str = "alice") -> FakeSocket:
        socket = FakeSocket(user, id)
        self.hub.register(socket)
        self.hub.replace(socket, topics)
        return socket

    def tell(self, frame: bytes, socket: FakeSocket) -> None:
        event = json.loads(frame[frame.index(b"{") :])
        assert event["type"] == "server.system.resync"
        self.told.append((socket.socket_id, {topic["id"] for topic in event["data"]["topics"]}))


@pytest.fixture
def world() -> World:
    return World()


LOST: list[tuple[list[Interest] | None, list[tuple[str, set[str]]]]] = [
    ([C], [("s1", {"c"}), ("s2", {"c"})]),
    ([C, D], [("s1", {"c", "d"}), ("s2", {"c"})]),
    (["bob"], [("s2", set())]),  # what was addressed to a user concerns no topic
    (["bob", D], [("s1", {"d"}), ("s2", set())]),
    (None, [("s1", {"c", "d"}), ("s2", {"c"}), ("s3", set())]),
    ([Topic("conversation", "unheard")], []),
    ([], []),
]


@pytest.mark.parametrize(("lost", "told"), LOST)
def test_a_socket_gets_a_resync_for_those_of_its_topics_that_were_lost(
    world: World, lost: list[Interest] | None, told: list[tuple[str, set[str]]]
) -> None:
    world.socket("s1", C, D)
    world.socket("s2", C, user="bob")
    world.socket("s3", user="carol")

    world.scheduler.on_loss(lost)
    world.clock.advance(0)

    assert sorted(world.told) == told


def test_a_topic_is_resynced_at_most_once_a_second_and_never_skipped(world: World) -> None:
    world.socket("s1", C, D)
    world.scheduler.on_loss([C])
    world.clock.advance(0)
    world.told.clear()

    world.scheduler.on_loss([C])
    world.scheduler.on_loss([D])
    world.scheduler.on_loss([C])
    world.clock.advance(0.9)
    assert world.told == []
    world.clock.advance(0.2)
    assert world.told == [("s1", {"c", "d"})]
    world.clock.advance(10)
    assert len(world.told) == 1


def test_every_socket_gets_its_resync_in_slices_within_two_seconds(world: World) -> None:
    count = 3 * SLICE
    sockets = [world.socket(f"s{number}", C) for number in range(count)]
    world.scheduler.on_loss(None)

    world.clock.advance(0)
    assert len(world.told) == SLICE
    world.hub.unregister(sockets[-1])  # it leaves meanwhile
    world.clock.advance(2)
    assert len(world.told) == count - 1


def test_a_loss_during_a_resync_is_followed_by_another_resync(world: World) -> None:
    for number in range(2 * SLICE):
        world.socket(f"s{number}", C)
    world.scheduler.on_loss([C])
    world.clock.advance(0)

    world.scheduler.on_loss([C])
    world.clock.advance(10)

    assert len(world.told) == 4 * SLICE
