"""The state a node keeps for its own users, by example. The effects in Redis are tested with the store."""

from __future__ import annotations

import pytest

from hubbub.presence.redis.local_users import LocalUsers, PendingWrite

AWAY, OFFLINE, TICK = 300.0, 3.0, 1.0


@pytest.fixture
def local() -> LocalUsers:
    return LocalUsers(away_after=AWAY, offline_after=OFFLINE, tick=TICK, bucket_of=len, buckets=10)


def written(local: LocalUsers) -> list[PendingWrite]:
    """Return the pending writes, and mark them as written."""
    writes = local.take_writes(100)
    for write in writes:
        local.wrote_present(write, "online" if write.status == "new" else write.status)
    return writes


def test_a_first_socket_is_new_and_written_once(local: LocalUsers) -> None:
    local.connect("alice", 5)

    assert local.take_writes(100) == [PendingWrite("alice", 1, "new", 5)]
    assert local.take_writes(100) == []


def test_activity_before_it_is_written_makes_a_socket_no_longer_new(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.touch("alice", 6)

    assert local.take_writes(100) == [PendingWrite("alice", 1, "online", 6)]


def test_a_failed_write_is_repeated(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.write_failed(local.take_writes(100))

    assert local.take_writes(100) == [PendingWrite("alice", 1, "new", 5)]


def test_a_change_that_is_reverted_before_the_write_is_not_written(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)

    local.disconnect("alice", 6)
    local.connect("alice", 6)

    assert local.take_writes(100) == []


def test_a_transient_socket_between_two_writes_is_written_too(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.disconnect("alice", 5.5)

    (write,) = local.take_writes(100)
    assert write == PendingWrite("alice", 0, "transient", 5.5)
    local.wrote_gone(write)
    assert len(local) == 0


def test_a_transient_socket_restarts_the_wait_for_offline(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", 6)
    (write,) = local.take_writes(100)
    local.wrote_leaving(write, 1, 6)

    local.connect("alice", 8)
    local.disconnect("alice", 8.5)
    (write,) = local.take_writes(100)
    local.wrote_leaving(write, 1, 9)

    (offline,) = local.due_offline(100)
    assert offline.due == 8.5 + OFFLINE + TICK


def test_a_change_during_a_write_is_written_next(local: LocalUsers) -> None:
    local.connect("alice", 5)
    (write,) = local.take_writes(100)
    local.connect("alice", 6)
    local.wrote_present(write, "online")

    assert local.take_writes(100) == [PendingWrite("alice", 2, "online", 5)]


def test_a_user_who_comes_back_while_offline_is_pending_is_written_again(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", 6)
    (write,) = local.take_writes(100)
    local.connect("alice", 7)

    local.wrote_leaving(write, 1, 7)

    assert local.due_offline(100) == []
    assert local.take_writes(100) == [PendingWrite("alice", 1, "online", 5)]


def test_away_from_another_node_is_kept_until_there_is_activity(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.wrote_present(local.take_writes(100)[0], "away")
    assert local.take_writes(100) == []

    local.touch("alice", 6)

    assert local.take_writes(100) == [PendingWrite("alice", 1, "online", 6)]


@pytest.mark.parametrize(
    ("left_at", "written_at", "due"),
    [
        (10.0, 10.4, 14.0),  # a user who reconnects elsewhere at 13 is written there by then
        (10.0, 11.0, 14.0),
        (10.0, 40.0, 43.0),  # after an outage: first the other nodes write users who came back
    ],
)
def test_offline_is_due_after_users_had_time_to_reconnect(
    local: LocalUsers, left_at: float, written_at: float, due: float
) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", left_at)
    local.wrote_leaving(local.take_writes(100)[0], 7, written_at)

    assert local.due_offline(due - 0.01) == []
    assert [(offline.user_id, offline.epoch, offline.seen) for offline in local.due_offline(due)] == [
        ("alice", 7, left_at)
    ]


def test_a_new_incarnation_writes_all_connected_and_pending_users(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.connect("bob", 5)
    written(local)
    local.disconnect("bob", 6)
    local.wrote_leaving(local.take_writes(100)[0], 7, 6)

    local.rewrite_all()

    assert local.take_writes(100) == [PendingWrite("alice", 1, "online", 5), PendingWrite("bob", 0, "online", 6)]


def test_stored_users_without_a_socket_here_are_removed(local: LocalUsers) -> None:
    local.rewrite(["bob"], 9)

    (write,) = local.take_writes(100)
    assert (write.user_id, write.sockets) == ("bob", 0)
    local.wrote_gone(write)
    assert len(local) == 0


def test_only_users_without_a_pending_change_are_compared(local: LocalUsers) -> None:
    for user in ("a", "b", "c"):
        local.connect(user, 5)
    written(local)
    local.connect("b", 6)
    local.disconnect("c", 6)
    local.take_writes(100)

    assert sorted(local.expected_in(1)) == [("a", "1:online"), ("b", ""), ("c", "")]
