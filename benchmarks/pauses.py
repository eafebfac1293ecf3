"""Measure what an event to a room of ten costs after a pause: `python -m benchmarks.pauses`, a minute.

The longer a server has slept, the less of its data is still in the processor's caches. The floor takes turns with it.
The server's other work is part of its figure: 40 heartbeats and six ticks a second.
"""

from __future__ import annotations

import statistics
import time
from typing import Final

from benchmarks.layout import Rooms
from benchmarks.process import run_as_script
from benchmarks.scenario import ROOM_SIZE
from benchmarks.servers import Floor, Hubbub, Publication, Server
from benchmarks.stages import SETTLE_SECONDS

SOCKETS: Final = 1000
ROOMS: Final = SOCKETS // ROOM_SIZE
COUNTS: Final = {1: 10 * ROOMS, 4: 2 * ROOMS, 20: 50, 100: 10}
"""Events of one run, by the milliseconds between them: a run takes a second, and no room receives more than others."""

RUNS: Final = 7


def cost(server: Server, milliseconds: int) -> float:
    """Return the CPU per event in microseconds, where each follows the one before after a pause."""
    publication = Publication(COUNTS[milliseconds], milliseconds / 1000, ROOM_SIZE, rooms=ROOMS)
    return server.deliver(publication).cost * ROOM_SIZE


def main() -> None:
    """Measure, and print medians with extremes."""
    layout = Rooms(SOCKETS, gathered=SOCKETS)
    with Floor(layout) as floor, Hubbub(layout) as hubbub:
        servers: tuple[Server, Server] = (floor, hubbub)
        for server in servers:
            server.populate()
        time.sleep(SETTLE_SECONDS)
        print("CPU per event, us, where each follows the one before after a pause")
        for pause in COUNTS:
            found: dict[str, list[float]] = {server.title: [] for server in servers}
            for number in range(RUNS):
                for server in servers[:: -1 if number % 2 else 1]:
                    found[server.title].append(cost(server, pause))
            cells = (
                f"{title} {statistics.median(costs):6.0f} ({min(costs):.0f} to {max(costs):.0f})"
                for title, costs in found.items()
            )
            print(f"{pause:4} ms  " + "   ".join(cells))


if __name__ == "__main__":
    run_as_script(main)
