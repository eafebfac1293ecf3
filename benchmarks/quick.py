"""Measure Hubbub beside bare C, in four minutes: `python -m benchmarks.quick`.

The figures are what Hubbub promises about its cost, on one machine over loopback. They are CPU (user and system time of
the server process) and not elapsed time, so that a busy machine changes them little. Fan-out is measured on both
servers in turns and compared pair by pair: the ratio is the result, and its spread says how far to trust it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks import scenario
from benchmarks.process import BenchmarkError, run_as_script
from benchmarks.servers import Floor, Hubbub, Publication, Server

WARM_UP_SOCKETS: Final = 1000
"""Connections opened before those whose memory is measured: the first ones include the cost of shared data."""

SETTLE_SECONDS: Final = 4.0
"""After it, presence has announced every user who came or left."""


def lead_in(listeners: int) -> Publication:
    """Return what is published before a measurement.

    After a pause, Linux acknowledges each of the first 16 segments by itself, which costs the sender CPU as well.
    """
    return Publication(20, 0.02, listeners)


def steady(listeners: int) -> Publication:
    """Return single events, 50 a second; short, so that other load on the machine falls on both servers of a pair."""
    return Publication(25, 0.02, listeners)


def bursts(listeners: int) -> Publication:
    """Return bursts of 20 events in one turn of the event loop."""
    return Publication(160, 0.15, listeners, burst=20)


def delivery_cost(server: Server, publication: Publication) -> float:
    """Return the CPU per delivery in microseconds."""
    delivery = server.deliver(publication)
    if delivery.report["bytes"] != delivery.deliveries * scenario.EVENT_BYTES:
        raise BenchmarkError(f"{server.name}: events of {delivery.report['bytes'] / delivery.deliveries} bytes")
    return delivery.cost


PAIRS: Final = 5
"""Pairs of fresh servers that fan-out is measured on."""


class Task(NamedTuple):
    """What is published, how often it is measured on one pair of servers, and the most that the ratio may be."""

    title: str
    publication: Callable[[int], Publication]
    repetitions: int
    goal: float


def print_row(title: str, values: Sequence[float], unit: str, goal: float | None = None) -> None:
    """Print a line of the table: the median, the spread, and the goal if there is one."""
    median = statistics.median(values)
    verdict = "" if goal is None else f"goal <= {goal:g}: {'met' if median <= goal else 'MISSED'}"
    print(f"  {title:<42} {median:8.2f} {unit:<5} {_spread(values):<18} {verdict}".rstrip())


def _spread(values: Sequence[float]) -> str:
    """Return the interquartile range, which a few disturbed repetitions do not change; of few values, the range."""
    if len(values) < 8:
        return f"{min(values):.2f} to {max(values):.2f}"
    low, _, high = statistics.quantiles(values)
    return f"{low:.2f} to {high:.2f}"


def fan_out(sockets: int, effort: float) -> None:
    """Measure steady and bursty fan-out beside the floor, on several pairs of fresh servers.

    The cost of a write depends on where the kernel put a connection's data, which stays the same for the life of a
    server: only fresh servers show how much of a figure is chance.
    """
    print(f"\nFan-out of {scenario.EVENT_BYTES} bytes to {sockets:,} sockets, CPU per delivery")
    tasks = (
        Task("one at a time, 50 a second", steady, 8, 1.35),
        Task("20 in one turn of the loop", bursts, 4, 0.15),
    )
    costs: dict[Task, tuple[list[float], list[float]]] = {task: ([], []) for task in tasks}
    for _ in range(PAIRS):
        with Floor(sockets) as floor, Hubbub(sockets) as hubbub:
            servers: tuple[Server, Server] = (floor, hubbub)
            for server in servers:
                server.populate()
            time.sleep(SETTLE_SECONDS)
            for task in tasks:
                pair = list(zip(servers, costs[task], strict=True))
                for _ in range(max(1, round(task.repetitions * effort))):
                    pair.reverse()
                    for server, found in pair:
                        server.deliver(lead_in(sockets))
                        found.append(delivery_cost(server, task.publication(sockets)))
    for task, (of_floor, of_hubbub) in costs.items():
        print_row(f"{task.title}: bare C", of_floor, "us")
        print_row(f"{task.title}: Hubbub", of_hubbub, "us")
        ratios = [ours / theirs for ours, theirs in zip(of_hubbub, of_floor, strict=True)]
        print_row(f"{task.title}: ratio", ratios, "x", task.goal)


class Connecting(NamedTuple):
    """The result of one run of `connecting`, per socket: CPU in microseconds, memory in KB."""

    connect: float
    announce: float
    subscribe: float
    memory_connected: float
    memory: float


def connecting(sockets: int, *, settle: float = SETTLE_SECONDS, python: str = sys.executable) -> Connecting:
    """Connect users to a fresh server: authenticated, registered, and subscribed to two topics each.

    Args:
        sockets: how many, beside those of the warm-up.
        settle: seconds of waiting after each step.
        python: the interpreter of the environment in which the measured Hubbub is installed.
    """
    with Hubbub(WARM_UP_SOCKETS + sockets, python=python) as server:
        server.connect(WARM_UP_SOCKETS)
        server.subscribe()
        time.sleep(settle)
        before = server.resident_bytes()
        connect = server.cpu_of(lambda: server.connect(sockets)) / sockets
        announce = server.cpu_of(lambda: time.sleep(settle)) / sockets
        connected = server.resident_bytes()
        subscribe = server.cpu_of(server.subscribe) / (WARM_UP_SOCKETS + sockets)
        time.sleep(settle)
        subscribed = server.resident_bytes()
    memory = [(after - before) / sockets / 1024 for after in (connected, subscribed)]
    return Connecting(connect * 1e6, announce * 1e6, subscribe * 1e6, *memory)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=["fan-out", "connecting"])
    parser.add_argument("--fan-out-sockets", type=int, default=1000)
    parser.add_argument("--connecting-sockets", type=int, default=8000)
    parser.add_argument("--effort", type=float, default=1.0, help="times the usual number of repetitions")
    options = parser.parse_args()
    print("Each line: the median, and the interquartile range (of few values: the range). CPU of the server process.")
    print(f"Load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    if options.only != "connecting":
        fan_out(options.fan_out_sockets, options.effort)
    if options.only != "fan-out":
        print(f"\nConnecting {options.connecting_sockets:,} users (JWT, two topics), per socket")
        runs = [connecting(options.connecting_sockets) for _ in range(max(1, round(3 * options.effort)))]
        print_row("CPU, connect until ready", [run.connect for run in runs], "us", 300)
        print_row("CPU, subscribe until subscribed", [run.subscribe for run in runs], "us")
        print_row("CPU, both", [run.connect + run.subscribe for run in runs], "us")
        print_row("CPU, announced and pinged, in 4 s", [run.announce for run in runs], "us")
        print_row("memory, connected", [run.memory_connected for run in runs], "KB")
        print_row("memory, connected and subscribed", [run.memory for run in runs], "KB", 5.5)


if __name__ == "__main__":
    run_as_script(main)
