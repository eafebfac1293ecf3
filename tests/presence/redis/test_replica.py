"""What a node knows of users it watches, by example."""

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
def heard() -> set[Interest]:
    return {Topic("user", "alice")}


@pytest.fixture
def replica(heard: set[Interest]) -> Replica:
    return Replica(heard.__contains__)


def read(replica: Replica, stored: Stored | None, now: float = 0.0) -> tuple[Presence, int | None]:
    return replica.absorb("alice", stored, replica.begin_read("alice"), now)


def test_what_was_read_is_known_while_somebody_listens(replica: Replica, heard: set[Interest]) -> None:
    assert replica.known("alice") is None
    read(replica, Stored("online", 3, None))
    assert replica.known("alice") == ONLINE

    heard.add("alice")  # a socket of hers: what is published reaches the node that way too
    heard.remove(Topic("user", "alice"))
    replica.forget([Topic("user", "alice")])
    assert replica.known("alice") == ONLINE
    heard.remove("alice")
    replica.forget(["alice", Topic("conversation", "alice")])

    assert replica.known("alice") is None
    assert len(replica) == 0


def test_of_users_nobody_listens_to_nothing_is_kept(replica: Replica) -> None:
    assert replica.begin_read("bob") is None
    assert replica.absorb("bob", Stored("away", 3, 5.0), None, 0) == (Presence("bob", "away", 5.0), None)
    assert replica.observe(Presence("bob", "online", None), 4) is Freshness.NEW

    assert len(replica) == 0


def test_what_is_read_by_somebody_who_has_stopped_listening_meanwhile_is_not_kept(
    replica: Replica, heard: set[Interest]
) -> None:
    expected = replica.begin_read("alice")
    heard.clear()
    replica.forget([Topic("user", "alice")])
    heard.add(Topic("user", "alice"))
    replica.begin_read("alice")

    assert replica.absorb("alice", Stored("online", 3, None), expected, 0) == (ONLINE, None)
    assert replica.known("alice") is None


def test_a_copy_is_what_the_first_one_was(replica: Replica) -> None:
    assert [replica.observe(ONLINE, 3) for _ in range(2)] == [Freshness.NEW] * 2
    assert [replica.observe(ONLINE, 4) for _ in range(2)] == [Freshness.REPEATED] * 2
    assert [replica.observe(AWAY, 3) for _ in range(2)] == [Freshness.OLD] * 2


def test_what_was_published_during_the_read_counts(replica: Replica) -> None:
    expected = replica.begin_read("alice")
    replica.observe(AWAY, 4)

    assert replica.absorb("alice", Stored("online", 3, None), expected, 0) == (AWAY, None)
    assert replica.known("alice") == AWAY


def test_a_change_that_listeners_have_missed_is_told(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    replica.mark_stale([Topic("user", "alice"), Topic("conversation", "c1")])
    assert replica.known("alice") is None
    assert replica.due(0, 100) == ["alice"]

    assert read(replica, Stored("away", 5, 5.0)) == (AWAY, 5)
    assert replica.observe(AWAY, 5) is Freshness.NEW
    replica.delivered("alice", 5)
    assert replica.observe(AWAY, 5) is Freshness.REPEATED  # the publication itself, late


def test_everybody_is_read_again_after_a_minute(replica: Replica) -> None:
    replica.due(100, 100)
    read(replica, Stored("online", 3, None))

    assert replica.due(100 + REFRESH_SECONDS - 1, 100) == []
    assert replica.due(100 + REFRESH_SECONDS, 100) == ["alice"]
    assert replica.due(100 + REFRESH_SECONDS, 100) == []


@pytest.mark.parametrize("was_loss", [False, True])
def test_who_is_missing_for_long_enough_is_offline(replica: Replica, was_loss: bool) -> None:
    read(replica, Stored("online", 3, None))
    if was_loss:
        replica.store_was_reset(100)
    patience = MISSING_AFTER_RESET_SECONDS if was_loss else MISSING_SECONDS

    assert read(replica, None, 101) == (ONLINE, None)
    assert read(replica, None, 101 + patience - 1) == (ONLINE, None)
    assert read(replica, None, 101 + patience) == (OFFLINE, 4)


def test_who_was_missing_before_all_was_lost_is_given_time_to_be_written(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)
    replica.store_was_reset(100 + MISSING_AFTER_RESET_SECONDS)

    assert read(replica, None, 100 + MISSING_AFTER_RESET_SECONDS) == (ONLINE, None)


def test_who_is_still_missing_after_an_outage_is_given_time_to_be_written(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)

    assert read(replica, None, 1000) == (ONLINE, None)
    assert read(replica, None, 1000 + MISSING_SECONDS) == (OFFLINE, 4)


def test_who_is_missing_for_a_moment_is_not(replica: Replica) -> None:
    read(replica, Stored("online", 3, None))
    read(replica, None, 100)
    read(replica, Stored("online", 9, None), 101)

    assert read(replica, None, 100 + MISSING_SECONDS) == (ONLINE, None)
