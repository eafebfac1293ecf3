"""The work that every server does, and how each piece of it is measured: one run of one server at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final

from benchmarks.layout import BUSY, EVERYBODY
from benchmarks.process import BenchmarkError, IncapableError
from benchmarks.servers import Floor, Heard, Publication, Server
from benchmarks.workload import BUSY_SOCKETS, REST_SOCKETS, ROOM_SIZE

KEEPS_UP: Final = 200.0
"""Milliseconds: a server whose p99 latency is above does not keep up with the rate."""

IMPATIENT: Final = 1.5
"""Seconds that a server gets beyond its schedule, where the question is whether it keeps up."""

Run = dict[str, float]
"""What one run found, by the names of columns."""


class Workload:
    """One kind of work.

    key: its name in files and on the command line. unit: what CPU is counted per. columns: what a run finds.
    """

    key: str
    letter: ClassVar[str]
    unit: ClassVar[str] = "delivery"
    columns: ClassVar[Sequence[str]] = ("cpu", "p50", "p99", "p999", "memory", "client")
    most_runs: int = 1_000_000
    enough_seconds: ClassVar[float] = 10.0
    """Who has taken so long for three runs, or twice as long for two, gets no further ones."""

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        raise NotImplementedError

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics

    def run(self, server: Server) -> Run:
        """Measures once. Raises BenchmarkError where the server did not do the work."""
        raise NotImplementedError


def _found(server: Server, heard: Heard, **more: float) -> Run:
    """Gives what every publication finds: CPU in microseconds, latency in milliseconds, memory in MB."""
    latency = {name: heard.latency[name] for name in ("p50", "p99", "p999")}
    memory = server.process.resident_bytes() / 1e6
    return {"cpu": heard.cost, **latency, "memory": memory, "client": heard.client_busy, **more}


def _affordable(server: Server, listeners: int, seconds: float, *, most: int, least: int = 1) -> int:
    """Gives how many events a server can deliver in so many seconds of CPU, at the cost measured last."""
    return max(least, min(most, int(seconds * 1e6 / (server.cost * listeners))))


class Broadcast(Workload):
    """(a) One event to everybody, then a pause: events never meet."""

    letter = "a"

    def __init__(self, listeners: int, seconds: float) -> None:
        self.key = f"broadcast-{listeners}"
        # A server that yields while it writes must be through before the next event, or it would join the two.
        self._pause = listeners * 3e-5
        self._listeners = listeners
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Broadcast to {self._listeners:,}, one event at a time"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measures once."""
        # After idling, Linux acknowledges each of the first 16 segments by itself, which costs the sender as well.
        part = min(1.0, 1000 / self._listeners)
        lead_in = _affordable(server, self._listeners, self._seconds / 2, most=max(2, round(16 * part)), least=0)
        if lead_in:  # for whom one event takes that long, it makes no difference
            server.hear(Publication(lead_in, self._pause, self._listeners))
        most = max(5, round(max(10, 25 * self._seconds) * part))
        count = _affordable(server, self._listeners, self._seconds, most=most)
        return _found(server, server.hear(Publication(count, self._pause, self._listeners)))


class Bursts(Workload):
    """(b) Twenty events in one turn of the event loop."""

    key, letter = "bursts", "b"
    burst: Final = 20

    def __init__(self, listeners: int, seconds: float) -> None:
        self._listeners = listeners
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Bursts of {self.burst} events in one turn, to {self._listeners:,}"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measures once."""
        bursts = _affordable(server, self._listeners * self.burst, self._seconds, most=8)
        heard = server.hear(Publication(bursts * self.burst, 0.15, self._listeners, burst=self.burst))
        return _found(server, heard)


class Paced(Workload):
    """Work at a rate: one that a server does not keep up with is lowered until it does."""

    rate: ClassVar[float]
    listeners: int

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._kept: dict[str, float] = {}  # by server, the rate it keeps up with

    def publication(self, rate: float) -> Publication:
        """Gives what is published at a rate, in events a second."""
        raise NotImplementedError

    def lead_in(self, server: Server, burst: int = 1) -> None:
        """Has a few events heard the first time, so that it is known what one costs here."""
        if server.name not in self._kept:
            server.hear(replace(self.publication(1.0), count=10, interval=0.03, burst=burst, paced=False))

    def attempt(self, server: Server, rate: float) -> Heard | None:
        """Measures at a rate; gives None where the server does not keep up, and is then a fresh one."""
        try:
            heard = server.hear(self.publication(rate), patience=IMPATIENT)
        except BenchmarkError:
            server.restart()
            return None
        if heard.latency["p99"] > KEEPS_UP:
            return None
        return heard


def at_rate(rate: float, seconds: float, listeners: int) -> Publication:
    """Gives a publication at a rate, for so many seconds: in 1,000 turns a second at most, as loops' timers do."""
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
        """Gives what the report calls it."""
        return f"A busy topic: {self.rate:,.0f} events/s to {self.listeners}"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def publication(self, rate: float) -> Publication:
        """Gives what is published at a rate."""
        return replace(at_rate(rate, self._seconds, self.listeners), topic=BUSY)

    def run(self, server: Server) -> Run:
        """Measures once."""
        self.lead_in(server)
        # A first event by itself may cost many times what one costs under load: only who is far below the full rate
        # does not begin with it.
        possible = 0.9e6 / (server.cost * self.listeners)
        rate = self._kept.get(server.name, self.rate if possible * 10 > self.rate else possible)
        while (heard := self.attempt(server, rate)) is None:
            rate *= 0.75
            if rate < 1:
                raise IncapableError("it does not keep up with one event a second")
        self._kept[server.name] = rate
        return _found(server, heard, rate=rate)


class Saturation(Paced):
    """(b3) The most deliveries a second to everybody with a p99 latency of at most 200 ms."""

    key, letter = "saturation", "b3"
    enough_seconds = 20.0  # a run is a search
    columns = ("deliveries", "cpu", "p50", "p99", "client")

    def __init__(self, listeners: int, runs: int, seconds: float, step: float) -> None:
        super().__init__(seconds)
        self.most_runs = runs
        self.listeners = listeners
        self.step = step

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Saturation: most deliveries/s to {self.listeners:,} with p99 <= {KEEPS_UP:g} ms"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def publication(self, rate: float) -> Publication:
        """Gives what is published at a rate."""
        return at_rate(rate, self._seconds, self.listeners)

    def run(self, server: Server) -> Run:
        """Measures once: the first time from a guess, doubling, then by halves; later around what was found."""
        self.lead_in(server, burst=10)  # it is how they cost when they are many that counts
        known = self._kept.get(server.name)
        rate = known or 0.6e6 / (server.cost * self.listeners)
        factor = self.step if known else 2.0
        good, best, bad = 0.0, None, math.inf
        while bad / max(good, 1e-9) > self.step * 1.001:
            heard = self.attempt(server, rate)
            if heard is not None:
                good, best = rate, heard
            else:
                bad = rate
            if bad is math.inf:
                rate = good * factor
            elif best is None:
                rate = bad / factor
                if bad * self._seconds < 1:
                    raise IncapableError(f"one event by itself takes longer than {KEEPS_UP:g} ms to reach them all")
            else:
                rate = math.sqrt(good * bad)
        if best is None:
            raise BenchmarkError("no rate was found that it keeps up with")
        self._kept[server.name] = good
        found = _found(server, best)
        return {name: value for name, value in found.items() if name in self.columns} | {
            "deliveries": good * self.listeners
        }


class Rooms(Workload):
    """(c) Events that each concern one room of ten."""

    key, letter = "rooms", "c"
    rate: Final = 250.0

    def __init__(self, rooms: int, seconds: float) -> None:
        self._rooms = rooms
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"{self._rooms:,} rooms of {ROOM_SIZE}, {self.rate:g} events/s"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_topics or issubclass(server, Floor)

    def run(self, server: Server) -> Run:
        """Measures once."""
        count = round(self.rate * self._seconds)
        if count > self._rooms:  # every room is to hear the same
            count -= count % self._rooms
        publication = Publication(count, 1 / self.rate, ROOM_SIZE, rooms=self._rooms, paced=True)
        return _found(server, server.hear(publication))


class Typing(Workload):
    """(d) A client's event, relayed to the nine others of its room."""

    key, letter = "typing", "d"
    unit = "relayed delivery"
    rate: Final = 200.0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Typing: {self.rate:g} inbound events/s, each relayed to {ROOM_SIZE - 1}"

    def run(self, server: Server) -> Run:
        """Measures once."""
        count = round(self.rate * self._seconds)
        before = server.process.cpu_seconds()
        heard = ROOM_SIZE if server.speech.sender_hears else ROOM_SIZE - 1
        account = server.client.relay(count, self.rate, ROOM_SIZE, heard, server.speech.typed)
        cpu = server.process.cpu_seconds() - before
        return _found(server, Heard(count * heard, cpu, account))


class Posting(Workload):
    """(g) A message posted over REST, stored in SQLite, and the signal that ten hear."""

    key, letter = "rest", "g"
    unit = "request"
    rate: Final = 200.0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"REST POST with SQLite to signal, {self.rate:g}/s, heard by {REST_SOCKETS}"

    def run(self, server: Server) -> Run:
        """Measures once; what a first request opens is open by then."""
        server.client.post(5, self.rate, REST_SOCKETS, server.speech.event)
        count = round(self.rate * self._seconds)
        before = server.process.cpu_seconds()
        account = server.client.post(count, self.rate, REST_SOCKETS, server.speech.event)
        cpu = server.process.cpu_seconds() - before
        return _found(server, Heard(count, cpu, account))


class Connecting(Workload):
    """(e) Sockets of users of their own, authenticated and subscribed: each run opens the next part of them."""

    key, letter = "connecting", "e"
    enough_seconds = math.inf  # each run opens a part of the sockets that the next workloads need
    unit = "connect"
    columns = ("cpu", "subscribe", "memory", "seconds", "sockets")

    def __init__(self, sockets: int, runs: int) -> None:
        self._sockets = sockets
        self._runs = runs
        self._resident: dict[int, int] = {}  # by process, after its last run

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Connecting {self._sockets:,} sockets with a JWT each, two topics each"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return True

    def run(self, server: Server) -> Run:
        """Measures once: CPU in microseconds and memory in KB per socket, seconds for all of the part."""
        part = server.sockets // self._runs
        process = server.process.pid
        before = self._resident.get(process) or server.resident()
        began = time.monotonic()
        connect = server.spent(lambda: server.connect(part)) / part
        subscribe = server.spent(server.subscribe_new) / part
        seconds = time.monotonic() - began
        self._resident[process] = server.resident()
        memory = (self._resident[process] - before) / part / 1024
        found = {"cpu": connect * 1e6, "subscribe": subscribe * 1e6, "memory": memory}
        return {**found, "seconds": seconds, "sockets": server.sockets}


class Storm(Workload):
    """(h) Many sockets cut at once come back at once: connect, authenticate, subscribe."""

    key, letter = "storm", "h"
    unit = "reconnect"
    columns = ("cpu", "p50", "p99", "seconds", "client")

    def __init__(self, sockets: int) -> None:
        self._sockets = sockets

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Reconnect storm: {self._sockets:,} at once, until subscribed"

    def run(self, server: Server) -> Run:
        """Measures once."""
        before = server.process.cpu_seconds()
        speech = server.speech
        account = server.client.storm(self._sockets, self._sockets, speech.ready, speech.subscribed)
        heard = Heard(self._sockets, server.process.cpu_seconds() - before, account)
        latency = {name: heard.latency[name] for name in ("p50", "p99")}
        return {"cpu": heard.cost, **latency, "seconds": account["seconds"], "client": heard.client_busy}


class Idle(Workload):
    """(f) Sockets that do nothing but answer pings. All servers are watched at once."""

    key, letter = "idle", "f"
    unit = "socket and second"
    columns = ("core", "cpu", "memory", "sockets")
    most_runs = 2

    def __init__(self, sockets: int, seconds: float) -> None:
        self._seconds = seconds
        self._sockets = sockets
        self._began: dict[str, tuple[float, float]] = {}

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"{self._sockets:,} idle sockets with a heartbeat every 25 s"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server is not Floor

    def begin(self, server: Server) -> None:
        """Starts to watch."""
        self._began[server.name] = (time.monotonic(), server.process.cpu_seconds())

    def wait(self, server: Server) -> None:
        """Waits until the server has been watched for long enough."""
        time.sleep(max(0.0, self._began[server.name][0] + self._seconds - time.monotonic()))

    def run(self, server: Server) -> Run:
        """Gives the percentage of a core that was used since ``begin``, and the memory of the process in MB."""
        moment, cpu = self._began[server.name]
        core = (server.process.cpu_seconds() - cpu) / (time.monotonic() - moment)
        memory = server.process.resident_bytes() / 1e6
        return {"core": core * 100, "cpu": core / server.sockets * 1e6, "memory": memory, "sockets": server.sockets}


class Nodes(Workload):
    """(i) Published on one node, heard on another, over Redis."""

    key, letter = "redis", "i"
    columns = ("cpu", "p50", "p99", "p999", "client")
    rate: Final = 100.0

    def __init__(self, listeners: int, seconds: float) -> None:
        self._listeners = listeners
        self._seconds = seconds
        self.publishers: dict[str, Server] = {}

    @property
    def title(self) -> str:
        """Gives what the report calls it."""
        return f"Two nodes over Redis: published on one, heard by {self._listeners:,} on the other"

    def takes(self, server: type[Server]) -> bool:
        """Tells whether a server can do this work."""
        return server.has_redis

    def run(self, server: Server) -> Run:
        """Measures once: CPU is that of both nodes together."""
        publisher = self.publishers[server.name]
        lead_in = _affordable(server, self._listeners, self._seconds / 2, most=3)
        publisher.hear(Publication(lead_in, 0.02, self._listeners), listener=server)
        count = _affordable(server, self._listeners, self._seconds, most=25)
        publication = Publication(count, 0.02, self._listeners, topic=EVERYBODY)
        spent = [node.process.cpu_seconds() for node in (server, publisher)]
        heard = publisher.hear(publication, listener=server)
        cpu = sum(node.process.cpu_seconds() - was for node, was in zip((server, publisher), spent, strict=True))
        server.cost = cpu / publication.deliveries * 1e6
        found = _found(server, heard._replace(cpu=cpu))
        return {name: found[name] for name in self.columns}
