"""What plain ASGI costs beside ``hubbub run``: ``uv run python -m benchmarks.transports``, about five minutes.

The same app on each server that can serve it, in turns. CPU and memory are those of the server's processes together.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from benchmarks.process import Program, run_as_script
from benchmarks.servers import Hubbub, Publication

WARM: Final = 200
SOCKETS: Final = 1000
ROUNDS: Final = 3
SETTLE_SECONDS: Final = 3.0

APP: Final = "benchmarks.app:app"
PORT: Final = "PORT"


class Cost(NamedTuple):
    """What was found, per socket (KB), per connect and per delivery (microseconds of CPU)."""

    memory: float
    connect: float
    deliver: float
    burst: float


class Transport(Hubbub):
    """One way to serve the app."""

    command: ClassVar[tuple[str, ...]] = ("hubbub", "run", APP, "--port", PORT, "--no-access-log")

    def start(self) -> Program:
        """Makes the server's program."""
        program, *arguments = self.command
        path = Path(sys.executable).with_name(program)
        return self.program(path, *(argument.replace(PORT, str(self.port)) for argument in arguments))

    def processes(self) -> list[int]:
        """Gives the ids of the server's process, and of those it has started."""
        found = [self.process.pid]
        for pid in found:  # grows meanwhile
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def cpu(self) -> float:
        """Gives their CPU seconds so far; see ``Program.cpu_seconds``."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.processes())

    def memory(self) -> int:
        """Gives their memory without garbage, in bytes: what they share counts once."""
        self.collect()
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.processes()]
        return (
            sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
            * 1024
        )

    def end_workers(self) -> None:
        """Kills what the server has started, which would outlive it."""
        for pid in self.processes()[1:]:
            os.kill(pid, signal.SIGKILL)

    def cost_of(self, publication: Publication) -> float:
        """Gives the CPU per delivery of a publication, in microseconds."""
        before = self.cpu()
        self.hear(publication)
        return (self.cpu() - before) / publication.deliveries * 1e6


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
    """Measures one server, freshly started."""
    with transport(WARM + SOCKETS) as server:
        server.callback(server.end_workers)
        server.connect(WARM)
        time.sleep(SETTLE_SECONDS)
        memory, cpu = server.memory(), server.cpu()
        server.connect(SOCKETS)
        connect = (server.cpu() - cpu) / SOCKETS * 1e6
        time.sleep(SETTLE_SECONDS)
        per_socket = (server.memory() - memory) / SOCKETS / 1024
        server.subscribe()
        time.sleep(SETTLE_SECONDS)
        listeners = WARM + SOCKETS
        server.hear(Publication(10, 0.05, listeners))  # warms up
        deliver = server.cost_of(Publication(40, 0.05, listeners))
        burst = server.cost_of(Publication(200, 0.5, listeners, burst=20))
    return Cost(per_socket, connect, deliver, burst)


def main() -> None:
    """Measures and prints."""
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
