"""A server under measurement with its load generator: start, connect, publish, measure."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Self
from urllib.parse import urlencode

from benchmarks import scenario
from benchmarks.client import Client
from benchmarks.layout import EVERYBODY, Layout, Topic
from benchmarks.process import BUILD, BenchmarkError, Program, compile_c, free_port
from benchmarks.protocols import TIMESTAMP, ClientProtocol, EventsOnly
from hubbub.contract.envelope import Envelope, encode

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0] if len(CORES) > 1 else None
CLIENT_CORE: Final = CORES[1] if len(CORES) > 1 else None


CONNECT_BATCH: Final = 3000
"""Connections opened by one command: the load generator's timeout is set for this number."""

ASSUMED_COST: Final = 50.0
"""Microseconds of CPU per delivery, of a server that was not measured yet."""


@dataclass(frozen=True)
class Publication:
    """What a server publishes in one measurement.

    Attributes:
        count: events in all.
        interval: seconds from one burst to the next.
        listeners: sockets that each event is delivered to.
        burst: events published in one turn of the event loop.
        topic: where the events go, if `rooms` is 0.
        rooms: rooms that the events are spread over, one after another.
        paced: bursts keep to a schedule, and late ones leave at once. Otherwise each waits after the one before.
    """

    count: int
    interval: float
    listeners: int
    burst: int = 1
    topic: Topic = EVERYBODY
    rooms: int = 0
    paced: bool = False

    @property
    def deliveries(self) -> int:
        """Return the number of deliveries of all events together."""
        return self.count * self.listeners

    @property
    def receivers(self) -> int:
        """Return how many sockets receive at least one of the events."""
        return self.listeners * max(1, min(self.rooms, self.count))


class Delivery(NamedTuple):
    """The cost of the deliveries of one measurement.

    Attributes:
        deliveries: how many.
        cpu: seconds of the server.
        report: the load generator's.
    """

    deliveries: int
    cpu: float
    report: dict[str, Any]

    @property
    def cost(self) -> float:
        """Return the server's CPU per delivery, in microseconds."""
        return self.cpu / self.deliveries * 1e6

    @property
    def latency(self) -> dict[str, float]:
        """Return p50, p99, p999 and max in milliseconds, from the time an event was due."""
        if "latency" not in self.report:
            raise BenchmarkError("no timestamp was found in the messages")
        found: dict[str, float] = self.report["latency"]
        return found

    @property
    def client_load(self) -> float:
        """Return the load generator's CPU time as a fraction of the elapsed time."""
        return float(self.report["cpu_seconds"] / self.report["seconds"])


class Server(ExitStack):
    """A server and its load generator; both are killed at the end.

    Args:
        layout: who subscribes to what, or a number of sockets.
        redis: the URL of a Redis that the server uses.
        role: sets its files apart from those of another node.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    protocol: ClassVar[ClientProtocol] = ClientProtocol()
    has_topics: ClassVar[bool] = True
    """Whether it supports subscriptions, typing and REST."""

    has_redis: ClassVar[bool] = False
    """Whether it can be one of many nodes over Redis."""

    needs_redis: ClassVar[bool] = False
    """Whether it uses Redis even as the only node."""

    max_sockets: ClassVar[int] = 1_000_000
    """The most sockets it gets: a server that takes milliseconds to connect one would take minutes for all."""

    def __init__(self, layout: Layout | int, *, redis: str | None = None, role: str = "") -> None:
        super().__init__()
        self.layout = Layout(layout) if isinstance(layout, int) else layout
        self.sockets = self.layout.sockets
        self.redis = redis
        self.program_name = f"{self.name}{role}"
        self.cost = ASSUMED_COST
        """The last measured CPU per delivery, in microseconds: it decides how many events fit a second."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.port = free_port()
        self.http_port = self.port
        try:
            self.process = self.enter_context(self.start())
            for port in {self.port, self.http_port}:
                self.process.wait_for_port(port)
            name = f"{self.program_name}-client"
            client = Client(name, self.port, self.protocol, self.layout, CLIENT_CORE, post_port=self.http_port)
            self.client = self.enter_context(client)
        except BaseException:
            self.close()
            raise
        return self

    def start(self) -> Program:
        """Return the server's program. It listens on `port`, and may set another `http_port` for REST."""
        raise NotImplementedError

    @classmethod
    def version(cls) -> str:
        """Return the name and version of what is measured."""
        raise NotImplementedError

    def program(self, *command: str | Path, **settings: str) -> Program:
        """Return a program with the environment variables that all servers get, and those of `settings`."""
        database = BUILD / f"{self.program_name}.sqlite"
        for file in BUILD.glob(f"{self.program_name}.sqlite*"):
            file.unlink()
        variables = {"SECRET": scenario.SECRET, "DATABASE": database, "PREFIX": self.name, **settings}
        if self.redis is not None:
            variables["REDIS"] = self.redis
        environment = [f"BENCHMARK_{name}={value}" for name, value in variables.items()]
        return Program(self.program_name, "env", *environment, *command, core=SERVER_CORE)

    def restart(self) -> None:
        """Start a fresh server and connect all its sockets: after a measurement that broke something."""
        self.close()
        self.__enter__()
        self.populate()

    def populate(self) -> None:
        """Open all connections, and subscribe each to its topics."""
        self.connect(self.sockets)
        self.subscribe_new()

    def connect(self, count: int) -> None:
        """Open connections, and wait until the server has answered all of them."""
        for opened in range(0, count, CONNECT_BATCH):
            self.client.connect(min(CONNECT_BATCH, count - opened), self.protocol.ready)

    def subscribe(self) -> None:
        """Subscribe every connection to its topics, if the server has topics."""
        if self.has_topics:
            self.client.subscribe(self.protocol.subscribed)

    def subscribe_new(self) -> None:
        """Subscribe the connections that are not subscribed yet."""
        if self.has_topics:
            self.client.subscribe_new(self.protocol.subscribed)

    def publish(self, publication: Publication) -> None:
        """Make the server publish, and wait until it has."""
        query = {
            "topic": publication.topic.id,
            "rooms": publication.rooms,
            "count": publication.count,
            "burst": publication.burst,
            "interval": publication.interval,
            "paced": int(publication.paced),
        }
        self.post(f"/publish?{urlencode(query)}")

    def deliver(self, publication: Publication, *, margin: float = 30.0, receiver: Server | None = None) -> Delivery:
        """Make the server publish, wait until everything has arrived, and return the cost.

        Args:
            publication: the events.
            margin: seconds beyond the publication's own duration.
            receiver: another node, whose sockets receive the events.

        Raises:
            BenchmarkError: a delivery is missing, or was made twice.
        """
        client = (receiver or self).client
        duration = publication.count / publication.burst * publication.interval
        client.expect(publication.deliveries, self.protocol.event, duration + margin)
        before = self.process.cpu_seconds()
        self.publish(publication)
        report = client.wait_for_expected(publication.receivers)
        cpu = self.process.cpu_seconds() - before
        delivery = Delivery(publication.deliveries, cpu, report)
        if not publication.paced:
            self.cost = delivery.cost
        return delivery

    def cpu_of(self, action: Callable[[], object]) -> float:
        """Return the CPU seconds that the server spends on an action."""
        before = self.process.cpu_seconds()
        action()
        return self.process.cpu_seconds() - before

    def resident_bytes(self) -> int:
        """Return the resident memory after a garbage collection."""
        self.collect()
        return self.process.resident_bytes()

    def collect(self) -> None:
        """Collect garbage, so that memory is compared without it."""
        self.post("/collect")

    def post(self, target: str) -> dict[str, Any]:
        """Call one of the endpoints that control a server."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=120)
        try:
            connection.request("POST", target, headers={"Content-Length": "0"})
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise BenchmarkError(f"{self.name}: {target}: {error}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise BenchmarkError(f"{self.name}: {target}: HTTP {response.status} {body!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer


class Floor(Server):
    """Bare C, below which no server can be: `send()` of framed bytes in a loop."""

    name = "floor"
    title = "bare C"
    protocol = EventsOnly()
    has_topics = False

    def start(self) -> Program:
        """Return the server's program."""
        return Program(self.program_name, compile_c("server"), str(self.port), core=SERVER_CORE, interactive=True)

    @classmethod
    def version(cls) -> str:
        """Return what is measured."""
        return "benchmarks/c/server.c, cc -O2"

    def publish(self, publication: Publication) -> None:
        """Send each event by itself."""
        self.send(publication, joined=False)

    def send(self, publication: Publication, *, joined: bool) -> None:
        """Send to the first connections, or to rooms of them; `joined` sends all events of a burst at once."""
        rooms = publication.rooms or 1
        numbers = (rooms, publication.listeners, publication.count, publication.burst)
        pace = (round(publication.interval * 1e6), int(publication.paced), int(joined))
        event = scenario.event(0)
        text = encode(Envelope.of(event)).decode().replace(event.message_id, TIMESTAMP)
        answer = self.process.request(" ".join(map(str, ("publish", *numbers, *pace, text))), 120)
        if answer["refused"]:
            raise BenchmarkError(f"the load generator did not keep up: {answer}")

    def collect(self) -> None:
        """Do nothing: there is no garbage."""


class Hubbub(Server):
    """`hubbub run benchmarks.app:app`.

    Args:
        python: the interpreter of the environment in which the measured Hubbub is installed. The other arguments are
            those of every server.
    """

    name = "hubbub"
    title = "Hubbub"
    has_redis = True

    def __init__(
        self, layout: Layout | int, *, redis: str | None = None, role: str = "", python: str = sys.executable
    ) -> None:
        super().__init__(layout, redis=redis, role=role)
        self.python = Path(python)

    def start(self) -> Program:
        """Return the server's program. Like the others, it logs no line per REST request."""
        command = (self.python, self.python.with_name("hubbub"), "run", "benchmarks.app:app")
        return self.program(*command, "--port", str(self.port), "--no-access-log")

    @classmethod
    def version(cls) -> str:
        """Return what is measured."""
        return f"hubbub {version('hubbub')}, `hubbub run`, Python {sys.version.split()[0]}"
