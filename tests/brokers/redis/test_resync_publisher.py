"""Interests that need a resync are remembered, up to a limit."""

from __future__ import annotations

from hubbub.brokers.redis.resync_publisher import PendingResyncs
from hubbub.contract.topics import Topic

NEWS = Topic("conversation", "news")


def test_each_interest_is_pending_once() -> None:
    pending = PendingResyncs()
    pending.add([NEWS, "alice"])
    pending.add([NEWS])

    assert pending
    assert pending.take() == [NEWS, "alice"]


def test_taking_the_pending_resyncs_clears_them() -> None:
    pending = PendingResyncs()
    pending.add([NEWS])
    pending.take()

    assert not pending
    assert pending.take() == []


def test_beyond_the_limit_everything_needs_a_resync() -> None:
    pending = PendingResyncs(maximum=2)
    pending.add(["alice", "bob", "carol"])
    pending.add(["dave"])

    assert pending
    assert pending.take() is None
    assert not pending


def test_adding_an_interest_keeps_the_resync_of_everything() -> None:
    pending = PendingResyncs()
    pending.add_all()
    pending.add([NEWS])

    assert pending.take() is None
