"""All items have the same timeout and share one timer."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub.clock import Timer
from hubbub.connections.deadlines import Deadlines
from hubbub.testing import ManualClock


class CountingClock(ManualClock):
    """Counts the timers that are set."""

    timers = 0

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        def fire() -> None:
            self.timers -= 1
            callback()

        self.timers += 1
        return super().call_later(delay, fire)


@pytest.fixture
def clock() -> CountingClock:
    return CountingClock()


@pytest.fixture
def expired() -> list[str]:
    return []


@pytest.fixture
def deadlines(clock: CountingClock, expired: list[str]) -> Deadlines[str]:
    return Deadlines(10.0, clock, expired.append)


def test_an_item_that_is_not_discarded_in_time_expires(
    clock: CountingClock, deadlines: Deadlines[str], expired: list[str]
) -> None:
    deadlines.add("slow")
    clock.advance(9.9)
    assert expired == []
    clock.advance(0.1)
    assert expired == ["slow"]
    assert len(deadlines) == 0


def test_an_item_that_is_discarded_in_time_does_not_expire(
    clock: CountingClock, deadlines: Deadlines[str], expired: list[str]
) -> None:
    deadlines.add("quick")
    deadlines.discard("quick")
    deadlines.discard("never there")
    clock.advance(100)
    assert expired == []


def test_a_deadline_cannot_be_postponed(clock: CountingClock, deadlines: Deadlines[str], expired: list[str]) -> None:
    deadlines.add("dribbling")
    for _ in range(4):
        clock.advance(2.5)
        deadlines.add("dribbling")
    assert expired == ["dribbling"]


def test_there_is_at_most_one_timer_and_none_without_items(clock: CountingClock, deadlines: Deadlines[str]) -> None:
    for number in range(100):
        deadlines.add(str(number))
        clock.advance(0.25)
        assert clock.timers == 1
    clock.advance(20)
    assert (len(deadlines), clock.timers) == (0, 0)


def test_an_expired_item_may_be_added_again_at_once(clock: CountingClock) -> None:
    expired: list[str] = []

    def again(item: str) -> None:
        expired.append(item)
        stubborn.add(item)

    stubborn = Deadlines(10.0, clock, again)
    stubborn.add("stubborn")
    clock.advance(30)
    assert expired == ["stubborn"] * 3


@given(
    st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.sampled_from("abcd"), st.integers(0, 8)), max_size=40)
)
def test_every_item_expires_exactly_at_its_deadline(steps: list[tuple[str, str, int]]) -> None:
    clock = CountingClock()
    expired: list[tuple[str, float]] = []
    deadlines: Deadlines[str] = Deadlines(10.0, clock, lambda item: expired.append((item, clock.monotonic())))
    expected: list[tuple[str, float]] = []
    due: dict[str, float] = {}

    def let_pass(seconds: float) -> None:
        clock.advance(seconds)
        for item, when in list(due.items()):
            if when <= clock.monotonic():
                expected.append((item, due.pop(item)))

    for step, item, seconds in steps:
        let_pass(seconds)
        if step == "add":
            deadlines.add(item)
            due.setdefault(item, clock.monotonic() + 10.0)
        else:
            deadlines.discard(item)
            due.pop(item, None)
    let_pass(20)

    assert sorted(expired) == sorted(expected)
    assert clock.timers == 0
