"""A server under measurement, with the client that talks to it: started, connected, told what to publish, measured."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Self
from urllib.parse import urlencode

from benchmarks import workload
from benchmarks.client import Client
from benchmarks.layout import EVERYBODY, Layout, Topic
from benchmarks.process import BUILD, BenchmarkError, Program, compile_c, free_port
from benchmarks.speech import STAMP, Silence, Speech

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0] if len(CORES) > 1 else None
CLIENT_CORE: Final = CORES[1] if len(CORES) > 1 else None


CONNECTED_TOGETHER: Final = 3000
"""Connections that the load generator's patience is meant for."""

EXPECTED_COST: Final = 50.0
"""Microseconds of CPU per delivery of a server that was not measured yet."""


@dataclass(frozen=True)
class Publication:
    """What a server is told to publish: ``count`` events, ``burst`` in one turn, ``interval`` seconds apart.

    listeners: the sockets that hear each event. topic: where they go, unless ``rooms`` spreads them over so many.
    paced: they stick to their schedule, and those that are late leave together; else each waits after the last.
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
        """Gives how often it is heard."""
        return self.count * self.listeners

    @property
    def hearing(self) -> int:
        """Gives how many sockets hear any of it."""
        return self.listeners * max(1, min(self.rooms, self.count))


class Heard(NamedTuple):
    """What became of a publication: the server's CPU seconds, and the load generator's account."""

    deliveries: int
    cpu: float
    account: dict[str, Any]

    @property
    def cost(self) -> float:
        """Gives the server's CPU per delivery, in microseconds."""
        return self.cpu / self.deliveries * 1e6

    @property
    def latency(self) -> dict[str, float]:
        """Gives p50, p99, p999 and max in milliseconds, from the moment an event was due."""
        if "latency" not in self.account:
            raise BenchmarkError("no time stamp was found in what was heard")
        found: dict[str, float] = self.account["latency"]
        return found

    @property
    def client_busy(self) -> float:
        """Gives the part of its time that the load generator was busy."""
        return float(self.account["cpu_seconds"] / self.account["seconds"])


class Server(ExitStack):
    """A server and its client, both stopped at the end."""

    name: ClassVar[str]
    title: ClassVar[str]
    speech: ClassVar[Speech] = Speech()
    has_topics: ClassVar[bool] = True
    """Whether sockets subscribe, and typing and REST are served."""

    has_redis: ClassVar[bool] = False
    """Whether it can act as one of many nodes over Redis."""

    needs_redis: ClassVar[bool] = False
    """Whether it takes one even by itself."""

    most_sockets: ClassVar[int] = 1_000_000
    """Sockets it is given at most: who takes milliseconds to connect one would take minutes for all."""

    def __init__(self, layout: Layout | int, *, redis: str | None = None, role: str = "") -> None:
        super().__init__()
        self.layout = Layout(layout) if isinstance(layout, int) else layout
        self.sockets = self.layout.sockets
        self.redis = redis
        self.started = f"{self.name}{role}"
        self.cost = EXPECTED_COST
        """The CPU per delivery that was measured last, in microseconds: how much of it can be asked for in a second."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.port = free_port()
        self.http_port = self.port
        try:
            self.process = self.enter_context(self.start())
            for port in {self.port, self.http_port}:
                self.process.wait_for_port(port)
            name = f"{self.started}-client"
            client = Client(name, self.port, self.speech, self.layout, CLIENT_CORE, post_port=self.http_port)
            self.client = self.enter_context(client)
        except BaseException:
            self.close()
            raise
        return self

    def start(self) -> Program:
        """Makes the server's program, which listens on ``port``; may set another ``http_port`` for REST."""
        raise NotImplementedError

    @classmethod
    def version(cls) -> str:
        """Tells what is measured, with its version."""
        raise NotImplementedError

    def program(self, *command: str | Path, **more: str) -> Program:
        """Makes a program from a command, with what every server is told by its environment, and ``more``."""
        database = BUILD / f"{self.started}.sqlite"
        for file in BUILD.glob(f"{self.started}.sqlite*"):
            file.unlink()
        told = {"SECRET": workload.SECRET, "DATABASE": database, "PREFIX": self.name, **more}
        if self.redis is not None:
            told["REDIS"] = self.redis
        environment = [f"BENCHMARK_{name}={value}" for name, value in told.items()]
        return Program(self.started, "env", *environment, *command, core=SERVER_CORE)

    def restart(self) -> None:
        """Begins again with a fresh server and all its sockets: after a measurement that broke something."""
        self.close()
        self.__enter__()
        self.populate()

    def populate(self) -> None:
        """Opens all its connections, and subscribes each to its topics."""
        self.connect(self.sockets)
        self.subscribe_new()

    def connect(self, count: int) -> None:
        """Opens connections, and waits until the server has answered all of them."""
        for opened in range(0, count, CONNECTED_TOGETHER):
            self.client.connect(min(CONNECTED_TOGETHER, count - opened), self.speech.ready)

    def subscribe(self) -> None:
        """Subscribes every connection to its topics, where the server knows topics."""
        if self.has_topics:
            self.client.subscribe(self.speech.subscribed)

    def subscribe_new(self) -> None:
        """Subscribes those connections that are not yet."""
        if self.has_topics:
            self.client.subscribe_new(self.speech.subscribed)

    def publish(self, publication: Publication) -> None:
        """Has the server publish, and waits until it has."""
        query = {
            "topic": publication.topic.id,
            "rooms": publication.rooms,
            "count": publication.count,
            "burst": publication.burst,
            "interval": publication.interval,
            "paced": int(publication.paced),
        }
        self.post(f"/publish?{urlencode(query)}")

    def hear(self, publication: Publication, *, patience: float = 30.0, listener: Server | None = None) -> Heard:
        """Has the server publish, and waits until everybody has heard it.

        patience: seconds beyond the publication's own. listener: another node, whose sockets hear it.
        Raises BenchmarkError where somebody has not.
        """
        client = (listener or self).client
        lasts = publication.count / publication.burst * publication.interval
        client.expect(publication.deliveries, self.speech.event, lasts + patience)
        before = self.process.cpu_seconds()
        self.publish(publication)
        account = client.arrived(publication.hearing)
        cpu = self.process.cpu_seconds() - before
        heard = Heard(publication.deliveries, cpu, account)
        if not publication.paced:
            self.cost = heard.cost
        return heard

    def spent(self, act: Callable[[], object]) -> float:
        """Gives the CPU seconds that the server spends on something."""
        before = self.process.cpu_seconds()
        act()
        return self.process.cpu_seconds() - before

    def resident(self) -> int:
        """Gives the resident memory without garbage, in bytes."""
        self.collect()
        return self.process.resident_bytes()

    def collect(self) -> None:
        """Collects garbage, so that memory is compared without what would be freed anyway."""
        self.post("/collect")

    def post(self, target: str) -> dict[str, Any]:
        """Calls one of the endpoints that drive a server."""
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
    """Bare C: ``send()`` of framed bytes in a loop."""

    name = "floor"
    title = "bare C"
    speech = Silence()
    has_topics = False

    def start(self) -> Program:
        """Makes the server's program."""
        return Program(self.started, compile_c("server"), str(self.port), core=SERVER_CORE, speaks=True)

    @classmethod
    def version(cls) -> str:
        """Tells what is measured."""
        return "benchmarks/c/server.c, cc -O2"

    def publish(self, publication: Publication) -> None:
        """Sends each event by itself; joined only where somebody asks for the floor of whoever joins."""
        self.send(publication, joined=False)

    def send(self, publication: Publication, *, joined: bool) -> None:
        """Sends to the first connections, or to so many rooms of them."""
        rooms = publication.rooms or 1
        numbers = (rooms, publication.listeners, publication.count, publication.burst)
        pace = (round(publication.interval * 1e6), int(publication.paced), int(joined))
        text = workload.event_text().replace(workload.event(0).message_id, STAMP)
        self._obeyed(" ".join(map(str, ("publish", *numbers, *pace, text))))

    def collect(self) -> None:
        """Has nothing to collect."""

    def _obeyed(self, command: str) -> None:
        if (answer := self.process.ask(command, 120))["refused"]:
            raise BenchmarkError(f"the client did not keep up: {answer}")


class Hubbub(Server):
    """``hubbub run benchmarks.app:app``."""

    name = "hubbub"
    title = "Hubbub"
    has_redis = True

    def start(self) -> Program:
        """Makes the server's program; like the others, it writes no line per REST request."""
        hubbub = Path(sys.executable).with_name("hubbub")
        return self.program(hubbub, "run", "benchmarks.app:app", "--port", str(self.port), "--no-access-log")

    @classmethod
    def version(cls) -> str:
        """Tells what is measured."""
        from importlib.metadata import version

        return f"hubbub {version('hubbub')}, `hubbub run`, Python {sys.version.split()[0]}"
