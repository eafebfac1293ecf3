"""Who may declare a node dead, and when."""

from __future__ import annotations

from hubbub.presence.redis.lease import Lease, Renewal


def renewed(lease: Lease, *times: float, dead: tuple[str, ...] = ()) -> None:
    for now in times:
        lease.renewed(Renewal(True, int(now * 1000), dict.fromkeys(dead, 1)), now)


def test_the_dead_are_reaped_once_they_were_seen_twice() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 10, dead=("n1",))
    assert lease.reapable(10) == []
    renewed(lease, 11, dead=("n1", "n2"))

    assert lease.reapable(11) == ["n1"]


def test_who_came_back_meanwhile_is_not_reaped() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 10, dead=("n1",))
    renewed(lease, 11)
    renewed(lease, 12, dead=("n1",))

    assert lease.reapable(12) == []


def test_a_node_that_was_interrupted_lets_the_others_come_back_first() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 14, 15, 16, 17, 18, dead=("n1",))
    assert lease.reapable(18) == []
    renewed(lease, 19, dead=("n1",))

    assert lease.reapable(19) == ["n1"]


def test_an_incarnation_never_comes_back() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    former = lease.incarnation

    lease.reset()

    assert lease.incarnation != former
    assert not lease.is_taken
    assert lease.reapable(100) == []


def test_what_is_written_is_valid_for_longer_than_the_lease_and_not_than_a_tombstone_stands() -> None:
    lease = Lease(seconds=15)
    renewed(lease, 100)

    ends = 115_000
    assert ends < lease.valid_until < ends + lease.tombstone_milliseconds
