"""How two checkouts are compared, without a server: the interval, the ratios and the order of the measurements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import pytest

from benchmarks.pairs import Figure, Interval, Samples, Workload, compare, interpreter_of, median_interval, table
from benchmarks.process import BenchmarkError

CPU = Figure("CPU per delivery", "us")


def workload(measure: Callable[[str], Sequence[float]]) -> Workload:
    return Workload(measure, [CPU])


@pytest.mark.parametrize(
    ("count", "low", "high", "confidence"),
    [(6, 1, 6, 0.969), (9, 2, 8, 0.961), (20, 6, 15, 0.959), (100, 40, 61, 0.965)],
)
def test_the_interval_of_the_median_is_that_of_the_binomial_tables(
    count: int, low: int, high: int, confidence: float
) -> None:
    interval = median_interval(range(1, count + 1))

    assert (interval.low, interval.high) == (low, high)
    assert interval.confidence == pytest.approx(confidence, abs=0.0005)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 9, 12])
def test_the_interval_contains_the_median_with_its_stated_confidence(count: int) -> None:
    """Each value is above or below the median, 0, with the same probability: all cases."""
    samples = [[sign * place for place, sign in enumerate(signs, 1)] for signs in product([-1, 1], repeat=count)]
    intervals = [median_interval(sample) for sample in samples]

    assert {interval.confidence for interval in intervals} == {sum(i.low <= 0 <= i.high for i in intervals) / 2**count}


def test_too_few_values_have_their_range_and_its_confidence() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == Interval(1.0, 3.0, 0.75)


def test_a_ratio_is_that_of_one_pair() -> None:
    assert Samples([1.0, 20.0], [2.0, 10.0]).ratios == [0.5, 2.0]


def test_the_table_has_the_median_of_the_ratios_and_both_medians() -> None:
    this, other = [1.0, 4.0, 6.0, 9.0, 9.0, 9.0, 9.0], [2.0, 4.0, 3.0, 9.0, 9.0, 9.0, 9.0]
    _, line, _ = table({CPU: Samples(this, other)})

    assert " ".join(line.split()) == "CPU per delivery 9.00 9.00 us 1.000 (0.500 to 2.000) 7 pairs"


def test_the_table_shows_the_confidence_of_the_interval_of_few_pairs() -> None:
    _, line, _ = table({CPU: Samples([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])})

    assert "2.000 (1.000 to 3.000, only 75%)" in line


def test_the_order_within_a_pair_alternates() -> None:
    measured: list[str] = []

    def measure(python: str) -> Sequence[float]:
        measured.append(python)
        return [float(len(measured))]

    samples: dict[Figure, Samples] = {}
    compare({"one": workload(measure)}, ("this", "other"), 3, samples)

    assert measured == ["this", "other", "other", "this", "this", "other"]
    assert samples == {CPU: Samples([1.0, 4.0, 5.0], [2.0, 3.0, 6.0])}


def failing(*attempts: int) -> Workload:
    """Return a workload that fails at these measurements, counted from 1."""
    measured = 0

    def measure(python: str) -> Sequence[float]:
        nonlocal measured
        measured += 1
        if measured in attempts:
            raise BenchmarkError("not everything arrived")
        return [1.0]

    return workload(measure)


def test_a_pair_that_fails_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    samples: dict[Figure, Samples] = {}
    compare({"one": failing(4)}, ("this", "other"), 3, samples)

    assert samples == {CPU: Samples([1.0, 1.0], [1.0, 1.0])}
    assert "pair 2 of 3, one: left out: not everything arrived" in capsys.readouterr().err


def test_a_workload_whose_first_pair_fails_ends_the_comparison() -> None:
    with pytest.raises(BenchmarkError, match="not everything arrived"):
        compare({"one": failing(1)}, ("this", "other"), 3, {})


def test_a_checkout_without_an_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"uv sync --all-extras"):
        interpreter_of(tmp_path)


def test_an_environment_with_the_hubbub_of_another_checkout_is_refused(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    (site_packages,) = (tmp_path / ".venv").glob("lib/*/site-packages")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hubbub.py").touch()
    (site_packages / "elsewhere.pth").write_text(str(elsewhere))

    with pytest.raises(BenchmarkError, match="not the Hubbub in"):
        interpreter_of(tmp_path)
