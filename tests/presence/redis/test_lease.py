"""When a node may reap a dead node."""

from __future__ import annotations

from hubbub.presence.redis.lease import Lease, Renewal


def renewed(lease: Lease, *times: float, dead: tuple[str, ...] = ()) -> None:
    for now in times:
        lease.renewed(Renewal(True, int(now * 1000), dict.fromkeys(dead, 1)), now)


def test_a_dead_node_is_reapable_once_it_was_seen_dead_twice() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 10, dead=("n1",))
    assert lease.reapable(10) == []
    renewed(lease, 11, dead=("n1", "n2"))

    assert lease.reapable(11) == ["n1"]


def test_a_node_that_came_back_in_between_is_not_reapable() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 10, dead=("n1",))
    renewed(lease, 11)
    renewed(lease, 12, dead=("n1",))

    assert lease.reapable(12) == []


def test_an_interrupted_node_gives_the_others_time_to_come_back() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    renewed(lease, 14, 15, 16, 17, 18, dead=("n1",))
    assert lease.reapable(18) == []
    renewed(lease, 19, dead=("n1",))

    assert lease.reapable(19) == ["n1"]


def test_a_reset_lease_has_a_new_incarnation() -> None:
    lease = Lease()
    renewed(lease, *range(10))
    former = lease.incarnation

    lease.reset()

    assert lease.incarnation != former
    assert not lease.is_taken
    assert lease.reapable(100) == []


def test_writes_stay_valid_after_the_lease_but_not_after_the_tombstone() -> None:
    lease = Lease(seconds=15)
    renewed(lease, 100)

    ends = 115_000
    assert ends < lease.valid_until < ends + lease.tombstone_milliseconds
