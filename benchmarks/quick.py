"""The benchmark that takes four minutes: ``uv run python -m benchmarks.quick``.

It measures what Hubbub promises about its cost, on one machine over loopback. Figures are CPU (user and system time of
the server process), not time: they survive a noisy machine. Fan-out is measured side by side with the floor, in turns,
and compared pair by pair: the ratio is the figure, its spread says how far to trust it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks import workload
from benchmarks.process import BenchmarkError, run_as_script
from benchmarks.servers import Floor, Hubbub, Publication, Server

WARM: Final = 1000
"""Connections opened before those whose memory is measured: the first ones also pay for what is shared."""

SETTLE_SECONDS: Final = 4.0
"""After it, presence has announced everybody who came, and everybody who left."""


class Pattern(NamedTuple):
    """How a broadcast is spread over time: ``turns``, ``interval`` seconds apart, each of ``events`` at once."""

    turns: int
    events: int
    interval: float

    def cost(self, server: Server) -> float:
        """Measures it: microseconds of CPU per delivery, once the server is under way."""
        LEAD_IN.run(server)
        before = server.process.cpu_seconds()
        deliveries = self.run(server)
        return (server.process.cpu_seconds() - before) / deliveries * 1e6

    def run(self, server: Server) -> int:
        """Broadcasts, waits for everything to arrive, and gives the number of deliveries."""
        deliveries = self.turns * self.events * server.sockets
        server.client.expect(deliveries, workload.EVENT)
        server.publish(Publication(self.turns * self.events, self.interval, server.sockets, burst=self.events))
        arrived = server.client.arrived()
        if arrived["bytes"] != deliveries * workload.EVENT_BYTES:
            raise BenchmarkError(f"{server.name}: events of {arrived['bytes'] / deliveries} bytes")
        return deliveries


# After idling, Linux acknowledges each of the first 16 segments by itself, which costs the sender as well.
LEAD_IN: Final = Pattern(turns=20, events=1, interval=0.02)
# Short and many: what else happens on the machine then falls on both sides of a pair.
STEADY: Final = Pattern(turns=25, events=1, interval=0.02)
BURST: Final = Pattern(turns=8, events=20, interval=0.15)


PAIRS: Final = 5
"""Pairs of fresh servers that fan-out is measured on."""


class Task(NamedTuple):
    """A pattern, how often it is measured on one pair of servers, and what the ratio to the floor may be."""

    title: str
    pattern: Pattern
    repetitions: int
    goal: float


def row(what: str, values: Sequence[float], unit: str, goal: float | None = None) -> None:
    """Prints one line of the table: the median, the extremes, and the goal where there is one."""
    median = statistics.median(values)
    verdict = "" if goal is None else f"goal <= {goal:g}: {'met' if median <= goal else 'MISSED'}"
    print(f"  {what:<42} {median:8.2f} {unit:<5} {_spread(values):<18} {verdict}".rstrip())


def _spread(values: Sequence[float]) -> str:
    """Gives the range of the middle half, which a few disturbed repetitions do not touch; of a handful, of all."""
    if len(values) < 8:
        return f"{min(values):.2f} to {max(values):.2f}"
    low, _, high = statistics.quantiles(values)
    return f"{low:.2f} to {high:.2f}"


def fan_out(sockets: int, effort: float) -> None:
    """Measures steady and bursty fan-out against the floor, on several pairs of fresh servers.

    What a write costs depends on where the kernel happened to put a connection's data: within a pair of servers that
    stays, so only other servers tell how far a figure is luck.
    """
    print(f"\nFan-out of {workload.EVENT_BYTES} bytes to {sockets:,} sockets, CPU per delivery")
    tasks = (
        Task("one at a time, 50 a second", STEADY, 8, 1.35),
        Task("20 in one turn of the loop", BURST, 4, 0.15),
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
                        found.append(task.pattern.cost(server))
    for task, (theirs, ours) in costs.items():
        row(f"{task.title}: bare C", theirs, "us")
        row(f"{task.title}: Hubbub", ours, "us")
        row(f"{task.title}: ratio", [one / other for one, other in zip(ours, theirs, strict=True)], "x", task.goal)


class Connecting(NamedTuple):
    """What one run of ``connecting`` found, per socket."""

    connect: float
    announce: float
    subscribe: float
    memory_connected: float
    memory: float


def connecting(sockets: int) -> Connecting:
    """Measures sockets of unique users, authenticated, registered and subscribed to two topics; on a fresh server."""
    with Hubbub(WARM + sockets) as server:
        server.connect(WARM)
        server.subscribe()
        time.sleep(SETTLE_SECONDS)
        before = resident(server)
        connect = cpu(server, lambda: server.connect(sockets)) / sockets
        announce = cpu(server, lambda: time.sleep(SETTLE_SECONDS)) / sockets
        connected = resident(server)
        subscribe = cpu(server, server.subscribe) / (WARM + sockets)
        time.sleep(SETTLE_SECONDS)
        subscribed = resident(server)
    memory = [(after - before) / sockets / 1024 for after in (connected, subscribed)]
    return Connecting(connect * 1e6, announce * 1e6, subscribe * 1e6, *memory)


def resident(server: Hubbub) -> int:
    """Gives the resident memory without garbage."""
    server.collect()
    return server.process.resident_bytes()


def cpu(server: Server, act: Callable[[], object]) -> float:
    """Gives the CPU seconds that a server spends on something."""
    before = server.process.cpu_seconds()
    act()
    return server.process.cpu_seconds() - before


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=["fan-out", "connecting"])
    parser.add_argument("--fan-out-sockets", type=int, default=1000)
    parser.add_argument("--connecting-sockets", type=int, default=8000)
    parser.add_argument("--effort", type=float, default=1.0, help="times the usual number of repetitions")
    options = parser.parse_args()
    print("Each line: the median, and the range of the middle half (of a handful: all). CPU is the server process's.")
    print(f"Load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")
    if options.only != "connecting":
        fan_out(options.fan_out_sockets, options.effort)
    if options.only != "fan-out":
        print(f"\nConnecting {options.connecting_sockets:,} users (JWT, two topics), per socket")
        runs = [connecting(options.connecting_sockets) for _ in range(max(1, round(3 * options.effort)))]
        row("CPU, connect until ready", [run.connect for run in runs], "us", 300)
        row("CPU, subscribe until subscribed", [run.subscribe for run in runs], "us")
        row("CPU, both", [run.connect + run.subscribe for run in runs], "us")
        row("CPU, announced and pinged, in 4 s", [run.announce for run in runs], "us")
        row("memory, connected", [run.memory_connected for run in runs], "KB")
        row("memory, connected and subscribed", [run.memory for run in runs], "KB", 5.5)


if __name__ == "__main__":
    run_as_script(main)
