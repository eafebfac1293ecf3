"""What a node knows about the users it watches, by example."""

from __future__ import annotations

import pytest

from hubbub.contract.topics import Interest, Topic
from hubbub.presence.redis.replica import (
    MISSING_AFTER_RESET_SECONDS,
    MISSING_SECONDS,
    REFRESH_SECONDS,
    Freshness,
    Replica,
    Stored,
)
from hubbub.presence.tracker import Presence

ONLINE = Presence("alice", "online", None)
AWAY = Presence("alice", "away", 5.0)
OFFLINE = Presence("alice", "offline", None)


@pytest.fixture
def interests() -> set[Interest]:
    return {Topic("user", "alice")}


@pytest.fixture
def replica(interests: set[Interest]) -> Replica:
    return Replica(interests.__contains__)


def read(replica: Replica, stored: Stored | None, now: float = 0.0) -> tuple[Presence, int | None]:
    return replica.absorb("alice", stored, replica.begin_read("alice"), now)


def test_a_read_status_is_kept_while_there_is_a_listener(replica: Replica, interests: set[Interest]) -> None:
    assert replica.known("alice") is None
    read(replica, Stored("online", 3, None))
    assert replica.known("alice") == ONLINE

    interests.add("alice")  # she has a socket here: publications reach the node that way too
    interests.remove(Topic("user", "alice"))
    replica.forget([Topic("user", "alice")])
    assert replica.known("alice") == ONLINE
    interests.remove("alice")
    replica.forget(["alice", Topic("conversation", "alice")])

    assert replica.known("alice") is None
    assert len(replica) == 0


def test_nothing_is_kept_for_users_without_a_listener(replica: Replica) -> None:
    assert replica.begin_read("bob") is None
    assert replica.absorb("bob", Stored("away", 3, 5.0), None, 0) == (Presence("bob", "away", 5.0), None)
    assert replica.observe(Presence("bob", "online", None), 4) is Freshness.NEW

    assert len(replica) == 0


def test_a_read_is_not_kept_if_the_listener_left_before_it_ended(replica: Replica, interests: set[Interest]) -> None:
    expected = replica.begin_read("alice")
    interests.clear()
    replica.forget([Topic("user", "alice")])
    interests.add(Topic("user", "alice"))
    replica.begin_read("alice")

    assert replica.absorb("alice", Stored("online", 3, None), expected, 0) == (ONLINE, None)
    assert replica.known("alice") is None


def test_a_repeated_update_has_no_effect(replica: Replica) -> None:
    assert [replica.observe(ONLINE, 3) for _ in range(2)] == [Freshness.NEW] * 2
    assert [replica.observe(ONLINE, 4) for _ in range(2)] == [Freshness.REPEATED] * 2
    assert [replica.observe(AWAY, 3) for _ in range(2)] == [Freshness.OLD] * 2


def test_an_update_during_the_read_wins(replica: Replica) -> None:
    expected = replica.begin_read("alice")
    replica.observe(AWAY, 4)

    assert replica.absorb("alice", Stored("online", 3, None), expected, 0) == (AWAY, None)
    assert replica.known("alice") == AWAY


def test_a_missed_change_is_returned_for_delivery(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    replica.mark_stale([Topic("user", "alice"), Topic("conversation", "c1")])
    assert replica.known("alice") is None
    assert replica.due(0, 100) == ["alice"]

    assert read(replica, Stored("away", 5, 5.0)) == (AWAY, 5)
    assert replica.observe(AWAY, 5) is Freshness.NEW
    replica.delivered("alice", 5)
    assert replica.observe(AWAY, 5) is Freshness.REPEATED  # the publication itself, late


def test_each_user_is_read_again_after_a_minute(replica: Replica) -> None:
    replica.due(100, 100)
    read(replica, Stored("online", 3, None))

    assert replica.due(100 + REFRESH_SECONDS - 1, 100) == []
    assert replica.due(100 + REFRESH_SECONDS, 100) == ["alice"]
    assert replica.due(100 + REFRESH_SECONDS, 100) == []


@pytest.mark.parametrize("was_loss", [False, True])
def test_a_user_missing_for_long_enough_is_offline(replica: Replica, was_loss: bool) -> None:
    read(replica, Stored("online", 3, None))
    if was_loss:
        replica.store_was_reset(100)
    allowed = MISSING_AFTER_RESET_SECONDS if was_loss else MISSING_SECONDS

    assert read(replica, None, 101) == (ONLINE, None)
    assert read(replica, None, 101 + allowed - 1) == (ONLINE, None)
    assert read(replica, None, 101 + allowed) == (OFFLINE, 4)


def test_a_user_missing_before_a_data_loss_gets_time_to_be_written(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)
    replica.store_was_reset(100 + MISSING_AFTER_RESET_SECONDS)

    assert read(replica, None, 100 + MISSING_AFTER_RESET_SECONDS) == (ONLINE, None)


def test_a_user_still_missing_after_an_outage_gets_time_to_be_written(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)

    assert read(replica, None, 1000) == (ONLINE, None)
    assert read(replica, None, 1000 + MISSING_SECONDS) == (OFFLINE, 4)


def test_a_user_missing_for_a_moment_stays_online(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)
    read(replica, Stored("online", 9, None), 101)

    assert read(replica, None, 100 + MISSING_SECONDS) == (ONLINE, None)
