"""User activity is passed on at most once a second per user."""

from __future__ import annotations

from hubbub.presence import touch_throttle
from hubbub.presence.touch_throttle import TouchThrottle
from hubbub.testing import ManualClock


def test_many_touches_are_passed_on_once_a_second() -> None:
    clock = ManualClock()
    throttle = TouchThrottle(clock)

    assert [throttle.allows("alice") for _ in range(3)] == [True, False, False]
    assert throttle.allows("bob")
    clock.advance(0.9)
    assert not throttle.allows("alice")
    clock.advance(0.1)

    assert throttle.allows("alice")


def test_the_number_of_remembered_users_is_bounded() -> None:
    throttle = TouchThrottle(ManualClock())

    for number in range(touch_throttle.MAX_USERS + 100):
        assert throttle.allows(f"user-{number}")

    assert len(throttle) <= touch_throttle.MAX_USERS
    assert not throttle.allows(f"user-{touch_throttle.MAX_USERS + 99}")
