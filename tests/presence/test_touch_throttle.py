"""Activity is passed on once per user and second."""

from __future__ import annotations

from hubbub.presence import touch_throttle
from hubbub.presence.touch_throttle import TouchThrottle
from hubbub.testing import ManualClock


def test_a_storm_of_touches_is_passed_on_once_a_second() -> None:
    clock = ManualClock()
    passed_on = TouchThrottle(clock)

    assert [passed_on.allows("alice") for _ in range(3)] == [True, False, False]
    assert passed_on.allows("bob")
    clock.advance(0.9)
    assert not passed_on.allows("alice")
    clock.advance(0.1)

    assert passed_on.allows("alice")


def test_only_so_many_users_are_remembered() -> None:
    passed_on = TouchThrottle(ManualClock())

    for number in range(touch_throttle.MAX_USERS + 100):
        assert passed_on.allows(f"user-{number}")

    assert len(passed_on) <= touch_throttle.MAX_USERS
    assert not passed_on.allows(f"user-{touch_throttle.MAX_USERS + 99}")
