"""A token bucket allows a burst, then a steady rate, and nothing more."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hubbub.connections.rate_limits import TokenBucket


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
