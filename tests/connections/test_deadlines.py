"""Everybody has the same time, and one timer does for all."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub.clock import Timer
from hubbub.connections.deadlines import Deadlines
from hubbub.testing import ManualClock


class CountingClock(ManualClock):
    """Counts how many timers are under way."""

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
def late() -> list[str]:
    return []


@pytest.fixture
def deadlines(clock: CountingClock, late: list[str]) -> Deadlines[str]:
    return Deadlines(10.0, clock, late.append)


def test_who_is_not_done_in_time_is_late(clock: CountingClock, deadlines: Deadlines[str], late: list[str]) -> None:
    deadlines.add("slow")
    clock.advance(9.9)
    assert late == []
    clock.advance(0.1)
    assert late == ["slow"]
    assert len(deadlines) == 0


def test_who_is_done_in_time_is_not(clock: CountingClock, deadlines: Deadlines[str], late: list[str]) -> None:
    deadlines.add("quick")
    deadlines.discard("quick")
    deadlines.discard("never there")
    clock.advance(100)
    assert late == []


def test_a_deadline_cannot_be_put_off(clock: CountingClock, deadlines: Deadlines[str], late: list[str]) -> None:
    deadlines.add("dribbling")
    for _ in range(4):
        clock.advance(2.5)
        deadlines.add("dribbling")
    assert late == ["dribbling"]


def test_there_is_one_timer_at_most_and_none_at_rest(clock: CountingClock, deadlines: Deadlines[str]) -> None:
    for number in range(100):
        deadlines.add(str(number))
        clock.advance(0.25)
        assert clock.timers == 1
    clock.advance(20)
    assert (len(deadlines), clock.timers) == (0, 0)


def test_who_is_late_may_come_back_at_once(clock: CountingClock) -> None:
    late: list[str] = []

    def again(item: str) -> None:
        late.append(item)
        stubborn.add(item)

    stubborn = Deadlines(10.0, clock, again)
    stubborn.add("stubborn")
    clock.advance(30)
    assert late == ["stubborn"] * 3


@given(
    st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.sampled_from("abcd"), st.integers(0, 8)), max_size=40)
)
def test_everyone_is_late_exactly_at_their_deadline(steps: list[tuple[str, str, int]]) -> None:
    clock = CountingClock()
    late: list[tuple[str, float]] = []
    deadlines: Deadlines[str] = Deadlines(10.0, clock, lambda item: late.append((item, clock.monotonic())))
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

    assert sorted(late) == sorted(expected)
    assert clock.timers == 0
