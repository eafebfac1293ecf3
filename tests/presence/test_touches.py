"""Activity is passed on once per user and second."""

from __future__ import annotations

from hubbub.presence import touches
from hubbub.presence.touches import Touches
from hubbub.testing import ManualClock


def test_a_storm_of_touches_is_passed_on_once_a_second() -> None:
    clock = ManualClock()
    passed_on = Touches(clock)

    assert [passed_on.first("alice") for _ in range(3)] == [True, False, False]
    assert passed_on.first("bob")
    clock.advance(0.9)
    assert not passed_on.first("alice")
    clock.advance(0.1)

    assert passed_on.first("alice")


def test_only_so_many_users_are_remembered() -> None:
    passed_on = Touches(ManualClock())

    for number in range(touches.MOST + 100):
        assert passed_on.first(f"user-{number}")

    assert len(passed_on._recent) <= touches.MOST
    assert not passed_on.first(f"user-{touches.MOST + 99}")
