"""What is owed a resync is remembered, up to a bound."""

from __future__ import annotations

from hubbub.brokers.redis.pending_resyncs import Debts
from hubbub.contract.topics import Topic

NEWS = Topic("conversation", "news")


def test_each_interest_is_owed_once() -> None:
    debts = Debts()
    debts.add([NEWS, "alice"])
    debts.add([NEWS])

    assert debts
    assert debts.take() == [NEWS, "alice"]


def test_what_was_taken_is_forgotten() -> None:
    debts = Debts()
    debts.add([NEWS])
    debts.take()

    assert not debts
    assert debts.take() == []


def test_beyond_the_bound_everything_is_owed() -> None:
    debts = Debts(most=2)
    debts.add(["alice", "bob", "carol"])
    debts.add(["dave"])

    assert debts
    assert debts.take() is None
    assert not debts


def test_everything_stays_owed_whatever_is_added() -> None:
    debts = Debts()
    debts.add_all()
    debts.add([NEWS])

    assert debts.take() is None
