"""What an event to a room of ten costs after a pause: ``uv run python -m benchmarks.pauses``, a minute.

The longer a server has slept, the less of it the processor's caches still hold. Side by side with the floor, in turns.
What else the server does meanwhile is in its figure: 40 heartbeats and six ticks a second.
"""

from __future__ import annotations

import statistics
import time
from typing import Final

from benchmarks.layout import Rooms
from benchmarks.process import run_as_script
from benchmarks.servers import Floor, Hubbub, Publication, Server
from benchmarks.stages import SETTLE_SECONDS
from benchmarks.workload import ROOM_SIZE

SOCKETS: Final = 1000
ROOMS: Final = SOCKETS // ROOM_SIZE
COUNTS: Final = {1: 10 * ROOMS, 4: 2 * ROOMS, 20: 50, 100: 10}
"""Events of one run, by the milliseconds between them: it takes a second, and no room hears more than the others."""

RUNS: Final = 7


def cost(server: Server, milliseconds: int) -> float:
    """Measures the CPU per event in microseconds, where each follows the last one after a pause."""
    publication = Publication(COUNTS[milliseconds], milliseconds / 1000, ROOM_SIZE, rooms=ROOMS)
    return server.hear(publication).cost * ROOM_SIZE


def main() -> None:
    """Measures and prints: medians and extremes."""
    layout = Rooms(SOCKETS, gathered=SOCKETS)
    with Floor(layout) as floor, Hubbub(layout) as hubbub:
        servers: tuple[Server, Server] = (floor, hubbub)
        for server in servers:
            server.populate()
        time.sleep(SETTLE_SECONDS)
        print("CPU per event, us, where each follows the last one after a pause")
        for pause in COUNTS:
            found: dict[str, list[float]] = {server.title: [] for server in servers}
            for number in range(RUNS):
                for server in servers[:: -1 if number % 2 else 1]:
                    found[server.title].append(cost(server, pause))
            told = (f"{who} {statistics.median(of):6.0f} ({min(of):.0f} to {max(of):.0f})" for who, of in found.items())
            print(f"{pause:4} ms  " + "   ".join(told))


if __name__ == "__main__":
    run_as_script(main)
