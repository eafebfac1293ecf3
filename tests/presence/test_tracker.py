"""The presence state machine: by example, and against a model that checks every user on every tick."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.presence.tracker import Presence, Tracker

AWAY, OFFLINE = 300.0, 3.0


@pytest.fixture
def tracker() -> Tracker:
    return Tracker(away_after=AWAY, offline_after=OFFLINE)


def statuses(announcements: list[Presence]) -> dict[str, str]:
    return {presence.user_id: presence.status for presence in announcements}


def test_the_first_socket_brings_a_user_online_once(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.connect("alice", 0)

    assert tracker.announced("alice").status == "offline"  # not announced before the tick
    assert statuses(tracker.tick(1)) == {"alice": "online"}
    assert tracker.tick(2) == []
    assert tracker.announced("alice") == Presence("alice", "online", None)


def test_closing_one_of_two_sockets_is_silent(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.connect("alice", 0)
    tracker.tick(1)

    tracker.disconnect("alice", 2)

    assert tracker.tick(100) == []


def test_offline_is_announced_only_after_three_seconds_without_a_socket(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.tick(1)
    tracker.disconnect("alice", 10)

    assert tracker.tick(12.9) == []
    assert tracker.announced("alice").status == "online"
    assert tracker.tick(13) == [Presence("alice", "offline", 10)]
    assert len(tracker) == 0


def test_a_reload_is_silent(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.tick(1)
    tracker.disconnect("alice", 10)
    tracker.connect("alice", 11)

    assert tracker.tick(12) == []
    assert tracker.tick(60) == []


def test_a_transient_socket_between_two_ticks_is_never_announced(tracker: Tracker) -> None:
    tracker.connect("alice", 0.1)
    tracker.disconnect("alice", 0.2)

    assert tracker.tick(1) == []
    assert tracker.tick(10) == []
    assert len(tracker) == 0


def test_a_user_without_activity_is_away_until_the_next_activity(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.tick(1)

    assert tracker.tick(299.9) == []
    assert tracker.tick(300) == [Presence("alice", "away", 0)]
    tracker.touch("alice", 400)
    assert tracker.tick(401) == [Presence("alice", "online", None)]
    assert statuses(tracker.tick(700)) == {"alice": "away"}


def test_a_reload_does_not_count_as_activity(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.tick(1)
    tracker.tick(300)
    tracker.disconnect("alice", 310)
    tracker.connect("alice", 311)

    assert tracker.tick(312) == []
    assert tracker.announced("alice").status == "away"


def test_touching_a_user_without_a_socket_changes_nothing(tracker: Tracker) -> None:
    tracker.touch("alice", 0)

    assert tracker.tick(1) == []
    assert len(tracker) == 0


def test_connected_users_count_as_seen_now_when_the_node_stops(tracker: Tracker) -> None:
    tracker.connect("alice", 0)
    tracker.connect("bob", 0)
    tracker.disconnect("bob", 5)

    assert tracker.last_seen_now(7) == {"alice": 7, "bob": 5}


@dataclass
class ModelUser:
    sockets: int = 0
    active_at: float = 0.0
    left_at: float = 0.0
    announced: str = "offline"
    exists: bool = field(default=False)  # has a socket, or had one within the last seconds

    def status(self, now: float) -> str:
        if self.sockets:
            return "away" if now - self.active_at >= AWAY else "online"
        return "offline" if now - self.left_at >= OFFLINE else self.announced


USERS = st.sampled_from(["alice", "bob", "carol"])


class TrackerMachine(RuleBasedStateMachine):
    """online <=> a socket exists; one announcement per transition; only what changed is announced."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = Tracker(away_after=AWAY, offline_after=OFFLINE)
        self.model = {name: ModelUser() for name in ("alice", "bob", "carol")}
        self.now = 0.0

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 2.9, 3.0, 100.0, 299.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=USERS)
    def connect(self, name: str) -> None:
        user = self.model[name]
        if not user.exists:
            user.exists, user.active_at = True, self.now
        user.sockets += 1
        self.tracker.connect(name, self.now)

    @precondition(lambda self: any(user.sockets for user in self.model.values()))
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([name for name, user in self.model.items() if user.sockets]))
        user = self.model[name]
        user.sockets -= 1
        user.left_at = self.now
        self.tracker.disconnect(name, self.now)

    @rule(name=USERS)
    def touch(self, name: str) -> None:
        if self.model[name].sockets:
            self.model[name].active_at = self.now
        self.tracker.touch(name, self.now)

    @rule()
    def tick(self) -> None:
        expected = {}
        for name, user in self.model.items():
            if not user.exists:
                continue
            status = user.status(self.now)
            if status != user.announced:
                user.announced = expected[name] = status
            if status == "offline":
                user.exists = False
        assert statuses(self.tracker.tick(self.now)) == expected

    @invariant()
    def snapshots_report_what_was_announced(self) -> None:
        for name, user in self.model.items():
            assert self.tracker.announced(name).status == user.announced

    @invariant()
    def no_user_is_remembered_forever(self) -> None:
        assert len(self.tracker) == sum(user.exists for user in self.model.values())


TestTrackerMachine = TrackerMachine.TestCase
