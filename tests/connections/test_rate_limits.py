"""Rate limits allow a minute's allowance of each kind, refill evenly, and know when they are full again."""

from __future__ import annotations

import pytest

from hubbub import ConfigurationError, Limits
from hubbub.connections.rate_limits import RateLimits
from hubbub.limits import sockets_within


def taken(rates: RateLimits, kind: str, now: float, per_minute: float, tries: int = 1000) -> int:
    """Return how many tries are allowed."""
    return sum(rates.spend(kind, now, per_minute) for _ in range(tries))


def test_a_minutes_allowance_may_be_used_at_once() -> None:
    assert taken(RateLimits(), "events", 0.0, 120) == 120


@pytest.mark.parametrize(("seconds", "again"), [(0.4, 0), (0.5, 1), (15, 30), (60, 120), (3600, 120)])
def test_the_allowance_refills_evenly(seconds: float, again: int) -> None:
    rates = RateLimits()
    taken(rates, "events", 0.0, 120)

    assert taken(rates, "events", seconds, 120) == again


def test_each_kind_has_its_own_allowance() -> None:
    rates = RateLimits()

    assert [taken(rates, kind, 0.0, rate) for kind, rate in (("a", 5), ("b", 7), ("a", 5), ("c", 2))] == [
        5,
        7,
        0,
        2,
    ]


def test_a_peer_below_the_rate_is_never_refused() -> None:
    rates = RateLimits()

    assert all(rates.spend("events", second * 0.5, 120) for second in range(10_000))


def test_it_is_full_again_a_minute_after_the_last_use_of_any_kind() -> None:
    rates = RateLimits()
    rates.spend("a", 0.0, 120)
    rates.spend("b", 30.0, 120)

    assert [rates.is_full(now) for now in (30.0, 60.0, 89.9, 90.0)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("descriptors", "sockets"),
    [(1024, 922), (20_000, 18_000), (256, 192), (32, 1), (float("inf"), float("inf"))],
)
def test_the_socket_limit_leaves_descriptors_for_the_rest_of_the_process(descriptors: float, sockets: float) -> None:
    assert sockets_within(descriptors) == sockets


def test_a_configured_socket_limit_is_used() -> None:
    assert Limits(sockets_per_node=7).most_sockets == 7
    assert Limits().most_sockets > 7


@pytest.mark.parametrize("value", [0, -1, float("nan")])
@pytest.mark.parametrize("name", ["events_per_minute", "sockets_per_user", "sockets_per_node"])
def test_a_limit_that_is_not_positive_raises(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be positive"):
        Limits(**{name: value})  # type: ignore[arg-type]
