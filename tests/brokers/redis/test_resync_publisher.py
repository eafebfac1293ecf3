"""What is owed a resync is remembered, up to a bound."""

from __future__ import annotations

from hubbub.brokers.redis.resync_publisher import PendingResyncs
from hubbub.contract.topics import Topic

NEWS = Topic("conversation", "news")


def test_each_interest_is_owed_once() -> None:
    pending = PendingResyncs()
    pending.add([NEWS, "alice"])
    pending.add([NEWS])

    assert pending
    assert pending.take() == [NEWS, "alice"]


def test_what_was_taken_is_forgotten() -> None:
    pending = PendingResyncs()
    pending.add([NEWS])
    pending.take()

    assert not pending
    assert pending.take() == []


def test_beyond_the_bound_everything_is_owed() -> None:
    pending = PendingResyncs(maximum=2)
    pending.add(["alice", "bob", "carol"])
    pending.add(["dave"])

    assert pending
    assert pending.take() is None
    assert not pending


def test_everything_stays_owed_whatever_is_added() -> None:
    pending = PendingResyncs()
    pending.add_all()
    pending.add([NEWS])

    assert pending.take() is None
