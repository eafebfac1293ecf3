"""Measure plain ASGI servers beside `hubbub run`: `python -m benchmarks.transports`, about five minutes.

The same app runs on each server in turns. CPU and memory are those of all processes of a server together.
"""

from __future__ import annotations

import os
import signal
import statistics
import time
from typing import ClassVar, Final, NamedTuple

from benchmarks.process import Program, memory_bytes, run_as_script
from benchmarks.servers import Hubbub, Publication

WARM_UP_SOCKETS: Final = 200
SOCKETS: Final = 1000
ROUNDS: Final = 3
SETTLE_SECONDS: Final = 3.0

APP: Final = "benchmarks.app:app"
PORT: Final = "PORT"


class Cost(NamedTuple):
    """The result, per socket (KB), per connect and per delivery (microseconds of CPU)."""

    memory: float
    connect: float
    deliver: float
    burst: float


class Transport(Hubbub):
    """One way to serve the app."""

    command: ClassVar[tuple[str, ...]] = ("hubbub", "run", APP, "--port", PORT, "--no-access-log")

    def start(self) -> Program:
        """Return the server's program."""
        program, *arguments = self.command
        path = self.python.with_name(program)
        return self.program(path, *(argument.replace(PORT, str(self.port)) for argument in arguments))

    def resident_bytes(self) -> int:
        """Return the memory of all processes after a garbage collection: what they share counts once."""
        self.collect()
        return sum(memory_bytes(pid, "Pss") for pid in self.process.process_ids())

    def end_workers(self) -> None:
        """Kill the processes that the server has started, which would outlive it."""
        for pid in self.process.process_ids()[1:]:
            os.kill(pid, signal.SIGKILL)


class Uvicorn(Transport):
    """Plain uvicorn. Browsers ask it for compression; the load generator does not."""

    name = "uvicorn"
    command = ("uvicorn", APP, "--port", PORT, "--log-level", "warning")


class Hypercorn(Transport):
    """Hypercorn."""

    name = "hypercorn"
    command = ("hypercorn", APP, "--bind", f"127.0.0.1:{PORT}", "--log-level", "warning")


class Granian(Transport):
    """Granian."""

    name = "granian"
    command = ("granian", "--interface", "asgi", APP, "--port", PORT, "--log-level", "warning")


def measure(transport: type[Transport]) -> Cost:
    """Measure one server, freshly started."""
    with transport(WARM_UP_SOCKETS + SOCKETS) as server:
        server.callback(server.end_workers)
        server.connect(WARM_UP_SOCKETS)
        time.sleep(SETTLE_SECONDS)
        memory = server.resident_bytes()
        connect = server.cpu_of(lambda: server.connect(SOCKETS)) / SOCKETS * 1e6
        time.sleep(SETTLE_SECONDS)
        per_socket = (server.resident_bytes() - memory) / SOCKETS / 1024
        server.subscribe()
        time.sleep(SETTLE_SECONDS)
        listeners = WARM_UP_SOCKETS + SOCKETS
        server.deliver(Publication(10, 0.05, listeners))  # warm-up
        deliver = server.deliver(Publication(40, 0.05, listeners)).cost
        burst = server.deliver(Publication(200, 0.5, listeners, burst=20)).cost
    return Cost(per_socket, connect, deliver, burst)


def main() -> None:
    """Measure, and print a table."""
    transports: list[type[Transport]] = [Transport, Uvicorn, Hypercorn, Granian]
    found: dict[type[Transport], list[Cost]] = {transport: [] for transport in transports}
    for _ in range(ROUNDS):
        for transport in transports:
            found[transport].append(measure(transport))
    print("Medians. Memory in KB per socket; CPU in microseconds per connect, delivery, and delivery in bursts of 20.")
    print(f"{'':<22}{'memory':>10}{'connect':>10}{'delivery':>10}{'burst':>10}")
    for transport, costs in found.items():
        medians = [statistics.median(values) for values in zip(*costs, strict=True)]
        print(f"{transport.name:<22}" + "".join(f"{value:>10.1f}" for value in medians))


if __name__ == "__main__":
    run_as_script(main)
