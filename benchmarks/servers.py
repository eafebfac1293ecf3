"""The servers under measurement: each is started with its client, and told to broadcast."""

from __future__ import annotations

import http.client
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from benchmarks import workload
from benchmarks.client import Client
from benchmarks.process import BenchmarkError, Program, compile_c, free_port

CORES: Final = sorted(os.sched_getaffinity(0))
SERVER_CORE: Final = CORES[0] if len(CORES) > 1 else None
CLIENT_CORE: Final = CORES[1] if len(CORES) > 1 else None


class Server(ExitStack):
    """A server and the client that talks to it, both stopped at the end."""

    name: str
    ready = ""
    """What the first message to a connection contains; empty where there is none."""

    def __init__(self, sockets: int) -> None:
        super().__init__()
        self.sockets = sockets
        self.port = free_port()

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.process = self.enter_context(self.start())
            self.process.wait_for_port(self.port)
            self.client = self.enter_context(Client(f"{self.name}-client", self.port, self.sockets, CLIENT_CORE))
        except BaseException:
            self.close()
            raise
        return self

    def start(self) -> Program:
        """Makes the server's program."""
        raise NotImplementedError

    def connect(self, count: int) -> None:
        """Opens connections, and waits until the server has answered all of them."""
        self.client.connect(count, self.ready)

    def subscribe(self) -> None:
        """Subscribes every connection to its two topics, where the server knows topics."""

    def broadcast(self, turns: int, events: int, interval: float) -> None:
        """Sends the event to every connection: ``turns`` times, ``interval`` seconds apart, ``events`` at once."""
        raise NotImplementedError


class Floor(Server):
    """Bare C: ``send()`` of framed bytes in a loop."""

    name = "floor"

    def start(self) -> Program:
        """Makes the server's program."""
        return Program(self.name, compile_c("server"), str(self.port), core=SERVER_CORE, speaks=True)

    def broadcast(self, turns: int, events: int, interval: float) -> None:
        """Sends the event to every connection."""
        command = f"broadcast {turns} {events} {round(interval * 1e6)} {workload.event_text()}"
        if (answer := self.process.ask(command))["refused"]:
            raise BenchmarkError(f"the client did not keep up: {answer}")


class Hubbub(Server):
    """``hubbub run benchmarks.app:app``."""

    name = "hubbub"
    ready = workload.READY

    def start(self) -> Program:
        """Makes the server's program."""
        command = (Path(sys.executable).with_name("hubbub"), "run", "benchmarks.app:app", "--port", str(self.port))
        return Program(self.name, *command, core=SERVER_CORE)

    def subscribe(self) -> None:
        """Subscribes every connection to its two topics."""
        self.client.subscribe(workload.SUBSCRIBED)

    def broadcast(self, turns: int, events: int, interval: float) -> None:
        """Sends the event to every connection."""
        self.post(f"/broadcast?turns={turns}&events={events}&interval={interval}")

    def collect(self) -> None:
        """Collects garbage."""
        self.post("/collect")

    def post(self, target: str) -> dict[str, Any]:
        """Calls one of the endpoints that drive the app."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", target)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise BenchmarkError(f"{target}: HTTP {response.status} {body!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer
