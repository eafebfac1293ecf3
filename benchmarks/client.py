"""The load generator as Python sees it: ``c/client.c``, told what a server wants to hear."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.layout import Layout
from benchmarks.process import BUILD, BenchmarkError, Program, compile_c
from benchmarks.speech import Speech

AT_ONCE: Final = 64
"""Handshakes, or subscribes, under way at the same time: enough to keep a server busy, far below its backlog."""

SOURCES: Final = 4
"""Addresses to connect from: one has ports for 28,000 connections, and those just closed keep theirs for a minute."""

PATIENCE: Final = 60.0
"""Seconds a command may take beyond what it lasts by itself."""


class Client(Program):
    """The C client, for up to ``layout.sockets`` connections of as many users, each with a token of its own."""

    def __init__(
        self, name: str, port: int, speech: Speech, layout: Layout, core: int | None = None, *, post_port: int
    ) -> None:
        """port: of the sockets. post_port: of REST."""
        BUILD.mkdir(exist_ok=True)
        everybody = range(layout.sockets)
        options: list[str | Path] = ["--path", speech.path, "--sources", str(SOURCES), "--mark", speech.mark]
        for option, lines in (
            ("headers", (speech.header(index) for index in everybody)),
            ("greetings", (speech.greeting(index) for index in everybody)),
            ("messages", (speech.subscribe(index, layout.topics(index)) for index in everybody)),
            ("signals", (speech.typing(index, layout.room(index)) for index in range(layout.in_rooms))),
        ):
            options += _lines(name, option, lines)
        if speech.ping:
            options += ["--ping", speech.ping, "--pong", speech.pong]
        if speech.joins_by_line:
            options.append("--lines")
        options += ["--post", "/messages", "--post-port", str(post_port), "--body", speech.body]
        super().__init__(name, compile_c("client"), str(port), *options, core=core, speaks=True)

    def connect(self, count: int, until: str = "") -> dict[str, Any]:
        """Opens ``count`` more connections; with ``until``, waits on each for a message that contains it."""
        return self._complete(self.ask(f"connect {count} {AT_ONCE} {PATIENCE:g} {until}", PATIENCE + 10))

    def subscribe(self, until: str) -> dict[str, Any]:
        """Sends the subscribe event on every connection, and waits on each for the answer."""
        return self._complete(self.ask(f"send {AT_ONCE} {PATIENCE:g} {until}", PATIENCE + 10))

    def subscribe_new(self, until: str) -> dict[str, Any]:
        """Sends the subscribe event on every connection that has not sent it yet, and waits likewise."""
        seconds = 2 * PATIENCE
        return self._complete(self.ask(f"tell {AT_ONCE} {seconds:g} {until}", seconds + 10))

    def expect(self, messages: int, containing: str, seconds: float = 30.0) -> None:
        """Starts to count messages that contain a text; ``arrived`` waits for them."""
        self.ask(f"expect {messages} {seconds:g} {containing}")

    def arrived(self, listeners: int | None = None) -> dict[str, Any]:
        """Waits for the expected messages; each connection, or each of ``listeners``, must have got as many."""
        answer = self._complete(self.answer(90))
        fewest = answer["fewest"] if listeners is None else answer["least"]
        if fewest != answer["most"] or listeners not in (None, answer["hearing"]):
            raise BenchmarkError(f"{self.name}: not everybody heard the same: {answer}")
        return answer

    def relay(self, count: int, rate: float, room_size: int, heard: int, containing: str) -> dict[str, Any]:
        """Sends ``count`` signals, ``rate`` a second, each heard by so many of its room."""
        seconds = count / rate + PATIENCE
        command = f"relay {count} {rate:g} {room_size} {heard} {seconds:g} {containing}"
        return self._complete(self.ask(command, seconds + 10))

    def post(self, count: int, rate: float, heard: int, containing: str) -> dict[str, Any]:
        """Posts ``count`` messages, ``rate`` a second, each heard by so many connections."""
        seconds = count / rate + PATIENCE
        return self._complete(self.ask(f"post {count} {rate:g} {heard} {seconds:g} {containing}", seconds + 10))

    def storm(self, count: int, at_once: int, ready: str, subscribed: str) -> dict[str, Any]:
        """Cuts ``count`` connections, and brings them back all at once, subscribed."""
        self.drop(count)
        return self._complete(self.ask(f"storm {at_once} {PATIENCE:g} {ready}\t{subscribed}", PATIENCE + 10))

    def drop(self, count: int) -> None:
        """Cuts connections, without a close frame."""
        self.ask(f"drop {count}")

    def _complete(self, answer: dict[str, Any]) -> dict[str, Any]:
        if not answer["complete"]:
            raise BenchmarkError(f"{self.name}: not everything arrived: {answer}")
        return answer


def _lines(name: str, option: str, lines: Iterable[str]) -> list[str | Path]:
    """Writes the lines of an option into a file; gives the option, or nothing where no line says anything."""
    text = "".join(f"{line}\n" for line in lines)
    if not text.strip():
        return []
    file = BUILD / f"{name}.{option}"
    file.write_text(text)
    return [f"--{option}-file", file]
