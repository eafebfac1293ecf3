"""A histogram in the form that Prometheus reads: how many values fell into each bucket."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

DURATION_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds."""

SIZE_BOUNDS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384)
"""Bounds for numbers of things."""


class Histogram:
    """Counts of values by bucket, and their sum.

    Args:
        bounds: The upper bound of each bucket, inclusive, in rising order and in the unit of the values. One more
            bucket without a bound follows.

    Attributes:
        bounds: As given.
        counts: How many values fell into each bucket, not cumulative.
        total: The sum of the values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
