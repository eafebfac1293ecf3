"""The workloads of the servers and how they are measured: one run of one server at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

from benchmarks.layout import BUSY, EVERYBODY
from benchmarks.process import BenchmarkError, IncapableError
from benchmarks.scenario import BUSY_SOCKETS, REST_SOCKETS, ROOM_SIZE
from benchmarks.servers import Delivery, Floor, Publication, Server

MAX_P99: Final = 200.0
"""Milliseconds. A server with a higher p99 latency does not keep up with the rate."""

RATE_MARGIN: Final = 1.5
"""Seconds that a server may take beyond its schedule, where the question is whether it keeps up."""

Run = dict[str, float]
"""The results of one run, by column name."""


class Workload:
    """One kind of work."""

    key: str
    """Its name in files and on the command line."""

    letter: ClassVar[str]
    unit: ClassVar[str] = "delivery"
    """The unit that CPU is divided by."""

    columns: ClassVar[Sequence[str]] = ("cpu", "p50", "p99", "p999", "memory", "client")
    """The names of what a run returns."""

    max_runs: int = 1_000_000
    max_seconds: ClassVar[float] = 10.0
    """A server that has taken so long for three runs, or twice as long for two, gets no more of them."""

    @property
    def title(self) -> str:
        """Return its title in the report."""
        raise NotImplementedError

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics

    def run(self, server: Server) -> Run:
        """Measure once.

        Raises:
            BenchmarkError: the server did not do the work.
        """
        raise NotImplementedError


def _result(server: Server, delivery: Delivery, **more: float) -> Run:
    """Return the usual columns: CPU in microseconds, latency in milliseconds, memory in MB."""
    latency = {name: delivery.latency[name] for name in ("p50", "p99", "p999")}
    memory = server.process.resident_bytes() / 1e6
    return {"cpu": delivery.cost, **latency, "memory": memory, "client": delivery.client_load, **more}


def _affordable(server: Server, listeners: int, seconds: float, *, maximum: int, minimum: int = 1) -> int:
    """Return how many events a server can deliver in this many seconds of CPU, at the cost measured last."""
    return max(minimum, min(maximum, int(seconds * 1e6 / (server.cost * listeners))))


class Broadcast(Workload):
    """(a) One event to all sockets, then a pause: events never overlap."""

    letter = "a"

    def __init__(self, listeners: int, seconds: float) -> None:
        self.key = f"broadcast-{listeners}"
        # A server that yields while it writes must have finished before the next event, or it would join the two.
        self._pause = listeners * 3e-5
        self._listeners = listeners
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Broadcast to {self._listeners:,}, one event at a time"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measure once."""
        # After a pause, Linux acknowledges each of the first 16 segments by itself, which costs the sender as well.
        scale = min(1.0, 1000 / self._listeners)
        maximum = max(2, round(16 * scale))
        lead_in = _affordable(server, self._listeners, self._seconds / 2, maximum=maximum, minimum=0)
        if lead_in:  # 0 for a slow server, for which it makes no difference
            server.deliver(Publication(lead_in, self._pause, self._listeners))
        maximum = max(5, round(max(10, 25 * self._seconds) * scale))
        count = _affordable(server, self._listeners, self._seconds, maximum=maximum)
        return _result(server, server.deliver(Publication(count, self._pause, self._listeners)))


class Bursts(Workload):
    """(b) Twenty events in one turn of the event loop."""

    key, letter = "bursts", "b"
    burst: Final = 20

    def __init__(self, listeners: int, seconds: float) -> None:
        self._listeners = listeners
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Bursts of {self.burst} events in one turn, to {self._listeners:,}"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measure once."""
        bursts = _affordable(server, self._listeners * self.burst, self._seconds, maximum=8)
        publication = Publication(bursts * self.burst, 0.15, self._listeners, burst=self.burst)
        return _result(server, server.deliver(publication))


class Paced(Workload):
    """Work at a rate, which is lowered until the server keeps up."""

    rate: ClassVar[float]
    listeners: int

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sustained: dict[str, float] = {}  # by server, the rate that it keeps up with

    def publication(self, rate: float) -> Publication:
        """Return what is published at a rate, in events a second."""
        raise NotImplementedError

    def lead_in(self, server: Server, burst: int = 1) -> None:
        """Publish a few events before the first run, to find out what one costs."""
        if server.name not in self._sustained:
            server.deliver(replace(self.publication(1.0), count=10, interval=0.03, burst=burst, paced=False))

    def attempt(self, server: Server, rate: float) -> Delivery | None:
        """Measure at a rate; return None if the server does not keep up. If it lost events, it is restarted."""
        try:
            delivery = server.deliver(self.publication(rate), margin=RATE_MARGIN)
        except BenchmarkError:
            server.restart()
            return None
        return delivery if delivery.latency["p99"] <= MAX_P99 else None


def at_rate(rate: float, seconds: float, listeners: int) -> Publication:
    """Return a publication of `rate` events a second: in 1,000 bursts a second at most, as fast as loop timers go."""
    burst = math.ceil(rate / 1000)
    count = max(burst, round(rate * seconds / burst) * burst)
    return Publication(count, burst / rate, listeners, burst=burst, paced=True)


class BusyTopic(Paced):
    """(b2) A steady 1,000 events a second to 100 sockets."""

    key, letter = "busy-topic", "b2"
    columns = ("cpu", "p50", "p99", "p999", "rate", "memory", "client")
    rate = 1000.0
    listeners = BUSY_SOCKETS

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"A busy topic: {self.rate:,.0f} events/s to {self.listeners}"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def publication(self, rate: float) -> Publication:
        """Return what is published at a rate."""
        return replace(at_rate(rate, self._seconds, self.listeners), topic=BUSY)

    def run(self, server: Server) -> Run:
        """Measure once."""
        self.lead_in(server)
        # A single first event may cost many times what one costs under load: only a server that seems far too slow
        # for the full rate starts with a lower one.
        possible = 0.9e6 / (server.cost * self.listeners)
        rate = self._sustained.get(server.name, self.rate if possible * 10 > self.rate else possible)
        while (delivery := self.attempt(server, rate)) is None:
            rate *= 0.75
            if rate < 1:
                raise IncapableError("it does not keep up with one event a second")
        self._sustained[server.name] = rate
        return _result(server, delivery, rate=rate)


class Saturation(Paced):
    """(b3) The most deliveries a second to all sockets with a p99 latency of at most 200 ms."""

    key, letter = "saturation", "b3"
    max_seconds = 20.0  # each run is a search
    columns = ("deliveries", "cpu", "p50", "p99", "client")

    def __init__(self, listeners: int, runs: int, seconds: float, step: float) -> None:
        super().__init__(seconds)
        self.max_runs = runs
        self.listeners = listeners
        self.step = step

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Saturation: most deliveries/s to {self.listeners:,} with p99 <= {MAX_P99:g} ms"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def publication(self, rate: float) -> Publication:
        """Return what is published at a rate."""
        return at_rate(rate, self._seconds, self.listeners)

    def run(self, server: Server) -> Run:
        """Search once: first from a guess, by doubling and bisection; later around what the first search found."""
        self.lead_in(server, burst=10)  # a burst, because the cost of many events is what counts here
        known = self._sustained.get(server.name)
        rate = known or 0.6e6 / (server.cost * self.listeners)
        factor = self.step if known else 2.0
        good, best, bad = 0.0, None, math.inf
        while bad / max(good, 1e-9) > self.step * 1.001:
            delivery = self.attempt(server, rate)
            if delivery is not None:
                good, best = rate, delivery
            else:
                bad = rate
            if bad is math.inf:
                rate = good * factor
            elif best is None:
                rate = bad / factor
                if bad * self._seconds < 1:
                    raise IncapableError(f"one event by itself takes longer than {MAX_P99:g} ms to reach them all")
            else:
                rate = math.sqrt(good * bad)
        if best is None:
            raise BenchmarkError("no rate was found that it keeps up with")
        self._sustained[server.name] = good
        result = _result(server, best, deliveries=good * self.listeners)
        return {name: result[name] for name in self.columns}


class Rooms(Workload):
    """(c) Events that each concern one room of ten."""

    key, letter = "rooms", "c"
    rate: Final = 250.0

    def __init__(self, rooms: int, seconds: float) -> None:
        self._rooms = rooms
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"{self._rooms:,} rooms of {ROOM_SIZE}, {self.rate:g} events/s"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measure once."""
        count = round(self.rate * self._seconds)
        if count > self._rooms:  # every room gets the same number
            count -= count % self._rooms
        publication = Publication(count, 1 / self.rate, ROOM_SIZE, rooms=self._rooms, paced=True)
        return _result(server, server.deliver(publication))


class Typing(Workload):
    """(d) A client's event, relayed to the nine others of its room."""

    key, letter = "typing", "d"
    unit = "relayed delivery"
    rate: Final = 200.0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Typing: {self.rate:g} inbound events/s, each relayed to {ROOM_SIZE - 1}"

    def run(self, server: Server) -> Run:
        """Measure once."""
        count = round(self.rate * self._seconds)
        before = server.process.cpu_seconds()
        receivers = ROOM_SIZE if server.protocol.echoes_to_sender else ROOM_SIZE - 1
        report = server.client.relay(count, self.rate, ROOM_SIZE, receivers, server.protocol.typing)
        cpu = server.process.cpu_seconds() - before
        return _result(server, Delivery(count * receivers, cpu, report))


class Posting(Workload):
    """(g) A message posted over REST, stored in SQLite, and its signal to ten subscribers."""

    key, letter = "rest", "g"
    unit = "request"
    rate: Final = 200.0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"REST POST with SQLite to signal, {self.rate:g}/s, heard by {REST_SOCKETS}"

    def run(self, server: Server) -> Run:
        """Measure once, after a few requests that open the connections."""
        server.client.post(5, self.rate, REST_SOCKETS, server.protocol.event)
        count = round(self.rate * self._seconds)
        before = server.process.cpu_seconds()
        report = server.client.post(count, self.rate, REST_SOCKETS, server.protocol.event)
        cpu = server.process.cpu_seconds() - before
        return _result(server, Delivery(count, cpu, report))


class Connecting(Workload):
    """(e) Sockets, each of its own user, authenticated and subscribed: each run opens the next part of them."""

    key, letter = "connecting", "e"
    max_seconds = math.inf  # each run opens a part of the sockets that the next workloads need
    unit = "connect"
    columns = ("cpu", "subscribe", "memory", "seconds", "sockets")

    def __init__(self, sockets: int, runs: int) -> None:
        self._sockets = sockets
        self._runs = runs
        self._resident: dict[int, int] = {}  # by process, after its last run

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Connecting {self._sockets:,} sockets with a JWT each, two topics each"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return True

    def run(self, server: Server) -> Run:
        """Measure once: CPU in microseconds and memory in KB per socket, seconds for the whole part."""
        part = server.sockets // self._runs
        process = server.process.pid
        before = self._resident.get(process) or server.resident_bytes()
        started_at = time.monotonic()
        connect = server.cpu_of(lambda: server.connect(part)) / part
        subscribe = server.cpu_of(server.subscribe_new) / part
        seconds = time.monotonic() - started_at
        self._resident[process] = server.resident_bytes()
        memory = (self._resident[process] - before) / part / 1024
        costs = {"cpu": connect * 1e6, "subscribe": subscribe * 1e6, "memory": memory}
        return {**costs, "seconds": seconds, "sockets": server.sockets}


class Storm(Workload):
    """(h) Many sockets are cut at once and reconnect at once: connect, authenticate, subscribe."""

    key, letter = "storm", "h"
    unit = "reconnect"
    columns = ("cpu", "p50", "p99", "seconds", "client")

    def __init__(self, sockets: int) -> None:
        self._sockets = sockets

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Reconnect storm: {self._sockets:,} at once, until subscribed"

    def run(self, server: Server) -> Run:
        """Measure once."""
        before = server.process.cpu_seconds()
        protocol = server.protocol
        report = server.client.storm(self._sockets, self._sockets, protocol.ready, protocol.subscribed)
        delivery = Delivery(self._sockets, server.process.cpu_seconds() - before, report)
        latency = {name: delivery.latency[name] for name in ("p50", "p99")}
        return {"cpu": delivery.cost, **latency, "seconds": report["seconds"], "client": delivery.client_load}


class Idle(Workload):
    """(f) Sockets that only answer pings. All servers are observed at the same time."""

    key, letter = "idle", "f"
    unit = "socket and second"
    columns = ("core", "cpu", "memory", "sockets")
    max_runs = 2

    def __init__(self, sockets: int, seconds: float) -> None:
        self._seconds = seconds
        self._sockets = sockets
        self._started: dict[str, tuple[float, float]] = {}

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"{self._sockets:,} idle sockets with a heartbeat every 25 s"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server is not Floor

    def begin(self, server: Server) -> None:
        """Start to observe a server."""
        self._started[server.name] = (time.monotonic(), server.process.cpu_seconds())

    def wait(self, server: Server) -> None:
        """Wait until the server has been observed for long enough."""
        time.sleep(max(0.0, self._started[server.name][0] + self._seconds - time.monotonic()))

    def run(self, server: Server) -> Run:
        """Return the percentage of a core that was used since `begin`, and the memory of the process in MB."""
        since, cpu = self._started[server.name]
        core = (server.process.cpu_seconds() - cpu) / (time.monotonic() - since)
        memory = server.process.resident_bytes() / 1e6
        return {"core": core * 100, "cpu": core / server.sockets * 1e6, "memory": memory, "sockets": server.sockets}


class Nodes(Workload):
    """(i) Published on one node, delivered by another, over Redis."""

    key, letter = "redis", "i"
    columns = ("cpu", "p50", "p99", "p999", "client")
    rate: Final = 100.0

    def __init__(self, listeners: int, seconds: float) -> None:
        self._listeners = listeners
        self._seconds = seconds
        self.publishers: dict[str, Server] = {}

    @property
    def title(self) -> str:
        """Return its title in the report."""
        return f"Two nodes over Redis: published on one, heard by {self._listeners:,} on the other"

    def supports(self, server: type[Server]) -> bool:
        """Return whether a server can do this work."""
        return server.has_redis

    def run(self, server: Server) -> Run:
        """Measure once: CPU is that of both nodes together."""
        publisher = self.publishers[server.name]
        lead_in = _affordable(server, self._listeners, self._seconds / 2, maximum=3)
        publisher.deliver(Publication(lead_in, 0.02, self._listeners), receiver=server)
        count = _affordable(server, self._listeners, self._seconds, maximum=25)
        publication = Publication(count, 0.02, self._listeners, topic=EVERYBODY)
        before = server.process.cpu_seconds()
        delivery = publisher.deliver(publication, receiver=server)
        delivery = delivery._replace(cpu=delivery.cpu + server.process.cpu_seconds() - before)
        server.cost = delivery.cost
        result = _result(server, delivery)
        return {name: result[name] for name in self.columns}
