"""Rate limits allow a minute's allowance of each kind, refill evenly, and know when they are full again."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub import ConfigurationError, Limits
from hubbub.connections.rate_limits import RateLimits, TokenBucket
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


@pytest.mark.parametrize(
    ("rate", "burst", "times", "expected"),
    [
        (1.0, 1.0, [0, 0, 0], "yes no no"),
        (1.0, 3.0, [0, 0, 0, 0], "yes yes yes no"),
        (1.0, 1.0, [0, 0.5, 1.0, 1.5, 2.0], "yes no yes no yes"),
        (2.0, 1.0, [0, 0.4, 0.5, 0.9, 1.0], "yes no yes no yes"),
        (1.0, 2.0, [0, 0, 100, 100, 100], "yes yes yes yes no"),
        (1.0, 2.0, [1e9, 1e9, 1e9], "yes yes no"),
        (0.5, 1.0, [0, 1, 2, 3, 4], "yes no yes no yes"),
        (10.0, 0.5, [0, 1, 2], "no no no"),
    ],
    ids=[
        "one at a time",
        "a burst",
        "a refusal costs nothing",
        "two a second",
        "at most the burst",
        "full at any time",
        "slowly",
        "a burst below one allows nothing",
    ],
)
def test_a_bucket_allows_what_has_refilled(rate: float, burst: float, times: list[float], expected: str) -> None:
    bucket = TokenBucket()

    assert " ".join("yes" if bucket.take(now, rate, burst) else "no" for now in times) == expected


def test_a_bucket_is_two_numbers() -> None:
    assert TokenBucket.__slots__ == ("at", "tokens")


@given(
    rate=st.integers(1, 1000),
    burst=st.integers(1, 100),
    pauses=st.lists(st.integers(0, 1024), max_size=200),
)
def test_no_interval_gets_more_than_the_burst_and_the_rate(rate: int, burst: int, pauses: list[int]) -> None:
    bucket = TokenBucket()
    now = 0.0
    taken = []
    for pause in pauses:
        now += pause / 1024
        if bucket.take(now, rate, burst):
            taken.append(now)

    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - begin) + 1e-6


@given(rate=st.integers(1, 1000), burst=st.integers(1, 100), count=st.integers(1, 200))
def test_a_peer_within_the_rate_is_never_refused(rate: int, burst: int, count: int) -> None:
    bucket = TokenBucket()

    assert all(bucket.take(number * (1.000001 / rate), rate, burst) for number in range(count))
