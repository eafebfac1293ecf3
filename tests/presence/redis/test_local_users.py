"""What a node holds of its users, by example; what it leads to is tested with the store."""

from __future__ import annotations

import pytest

from hubbub.presence.redis.local_users import Claim, LocalUsers

AWAY, OFFLINE, TICK = 300.0, 3.0, 1.0


@pytest.fixture
def local() -> LocalUsers:
    return LocalUsers(away_after=AWAY, offline_after=OFFLINE, tick=TICK, bucket_of=len, buckets=10)


def written(local: LocalUsers) -> list[Claim]:
    """Gives what is to be written, and takes it as written."""
    claims = local.claims(100)
    for claim in claims:
        local.present(claim, "online" if claim.share == "new" else claim.share)
    return claims


def test_a_first_socket_is_claimed_as_new_and_written_once(local: LocalUsers) -> None:
    local.connect("alice", 5)

    assert local.claims(100) == [Claim("alice", 1, "new", 5)]
    assert local.claims(100) == []


def test_activity_before_it_is_written_makes_a_socket_no_longer_new(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.touch("alice", 6)

    assert local.claims(100) == [Claim("alice", 1, "online", 6)]


def test_what_was_not_written_is_claimed_again(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.failed(local.claims(100))

    assert local.claims(100) == [Claim("alice", 1, "new", 5)]


def test_what_changes_and_changes_back_before_it_is_written_is_not_written(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)

    local.disconnect("alice", 6)
    local.connect("alice", 6)

    assert local.claims(100) == []


def test_a_visit_between_two_rounds_is_written_too(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.disconnect("alice", 5.5)

    (claim,) = local.claims(100)
    assert claim == Claim("alice", 0, "visit", 5.5)
    local.gone(claim)
    assert len(local) == 0


def test_a_visit_while_the_end_is_owed_begins_it_again(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", 6)
    (claim,) = local.claims(100)
    local.leaving(claim, 1, 6)

    local.connect("alice", 8)
    local.disconnect("alice", 8.5)
    (claim,) = local.claims(100)
    local.leaving(claim, 1, 9)

    (debt,) = local.due(100)
    assert debt.due == 8.5 + OFFLINE + TICK


def test_a_change_while_a_claim_is_under_way_is_claimed_next(local: LocalUsers) -> None:
    local.connect("alice", 5)
    (claim,) = local.claims(100)
    local.connect("alice", 6)
    local.present(claim, "online")

    assert local.claims(100) == [Claim("alice", 2, "online", 5)]


def test_who_comes_back_while_the_end_is_under_way_is_written_again(local: LocalUsers) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", 6)
    (claim,) = local.claims(100)
    local.connect("alice", 7)

    local.leaving(claim, 1, 7)

    assert local.due(100) == []
    assert local.claims(100) == [Claim("alice", 1, "online", 5)]


def test_away_as_it_is_announced_elsewhere_is_kept_until_there_is_activity(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.present(local.claims(100)[0], "away")
    assert local.claims(100) == []

    local.touch("alice", 6)

    assert local.claims(100) == [Claim("alice", 1, "online", 6)]


@pytest.mark.parametrize(
    ("left_at", "written_at", "due"),
    [
        (10.0, 10.4, 14.0),  # so that whoever came back elsewhere at 13 is written there
        (10.0, 11.0, 14.0),
        (10.0, 40.0, 43.0),  # after an outage: the others write who came back first
    ],
)
def test_an_end_is_due_when_everybody_has_had_the_time_to_come_back(
    local: LocalUsers, left_at: float, written_at: float, due: float
) -> None:
    local.connect("alice", 5)
    written(local)
    local.disconnect("alice", left_at)
    local.leaving(local.claims(100)[0], 7, written_at)

    assert local.due(due - 0.01) == []
    assert [(debt.user_id, debt.epoch, debt.seen) for debt in local.due(due)] == [("alice", 7, left_at)]


def test_a_new_incarnation_writes_everybody_who_is_here_or_owed(local: LocalUsers) -> None:
    local.connect("alice", 5)
    local.connect("bob", 5)
    written(local)
    local.disconnect("bob", 6)
    local.leaving(local.claims(100)[0], 7, 6)

    local.begin_again()

    assert local.claims(100) == [Claim("alice", 1, "online", 5), Claim("bob", 0, "online", 6)]


def test_what_is_stored_of_nobody_here_is_ended(local: LocalUsers) -> None:
    local.differ(["bob"], 9)

    (claim,) = local.claims(100)
    assert (claim.user_id, claim.sockets) == ("bob", 0)
    local.gone(claim)
    assert len(local) == 0


def test_only_what_is_settled_is_compared(local: LocalUsers) -> None:
    for user in ("a", "b", "c"):
        local.connect(user, 5)
    written(local)
    local.connect("b", 6)
    local.disconnect("c", 6)
    local.claims(100)

    assert sorted(local.stored(1)) == [("a", "1:online"), ("b", ""), ("c", "")]
