"""The load generator from Python's side: `c/client.c`, set up for one server's protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from benchmarks.layout import Layout
from benchmarks.process import BUILD, BenchmarkError, Program, compile_c
from benchmarks.protocols import ClientProtocol

CONCURRENCY: Final = 64
"""Handshakes, or subscribes, in progress at a time: enough to keep a server busy, far below its backlog."""

SOURCE_ADDRESSES: Final = 4
"""Addresses to connect from: one has ports for 28,000 connections, and closed ones keep theirs for a minute."""

TIMEOUT: Final = 60.0
"""Seconds that a command may take beyond its own duration."""


class Client(Program):
    """The C client, for up to `layout.sockets` connections, each with its own user and token.

    Args:
        name: names the log and the files with what the client sends.
        port: of the WebSockets.
        protocol: what the server speaks.
        layout: who subscribes to what.
        core: the processor to bind the client to.
        post_port: of REST.
    """

    def __init__(
        self, name: str, port: int, protocol: ClientProtocol, layout: Layout, core: int | None = None, *, post_port: int
    ) -> None:
        BUILD.mkdir(exist_ok=True)
        connections = range(layout.sockets)
        options: list[str | Path] = ["--path", protocol.path, "--sources", str(SOURCE_ADDRESSES)]
        options += ["--timestamp-prefix", protocol.timestamp_prefix]
        for option, lines in (
            ("headers", (protocol.header(index) for index in connections)),
            ("greetings", (protocol.greeting(index) for index in connections)),
            ("messages", (protocol.subscribe(index, layout.topics(index)) for index in connections)),
            ("signals", (protocol.typing_event(index, layout.room(index)) for index in range(layout.in_rooms))),
        ):
            options += _file_option(name, option, lines)
        if protocol.ping:
            options += ["--ping", protocol.ping, "--pong", protocol.pong]
        if protocol.joins_by_line:
            options.append("--lines")
        options += ["--post", "/messages", "--post-port", str(post_port), "--body", protocol.body]
        super().__init__(name, compile_c("client"), str(port), *options, core=core, interactive=True)

    def connect(self, count: int, until: str = "") -> dict[str, Any]:
        """Open `count` more connections; with `until`, wait on each for a message that contains it."""
        return self._complete(self.request(f"connect {count} {CONCURRENCY} {TIMEOUT:g} {until}", TIMEOUT + 10))

    def subscribe(self, until: str) -> dict[str, Any]:
        """Send the subscribe event on every connection, and wait on each for a message that contains `until`."""
        return self._complete(self.request(f"send {CONCURRENCY} {TIMEOUT:g} {until}", TIMEOUT + 10))

    def subscribe_new(self, until: str) -> dict[str, Any]:
        """Send the subscribe event on the connections that have not sent it yet."""
        timeout = 2 * TIMEOUT
        return self._complete(self.request(f"send_new {CONCURRENCY} {timeout:g} {until}", timeout + 10))

    def expect(self, messages: int, containing: str, timeout: float = 30.0) -> None:
        """Start to count the messages that contain a text; `wait_for_expected` waits for all of them."""
        self.request(f"expect {messages} {timeout:g} {containing}")

    def wait_for_expected(self, receivers: int | None = None) -> dict[str, Any]:
        """Wait for the expected messages, and return the load generator's report.

        Args:
            receivers: the number of connections that must have received messages; None for all of them.

        Raises:
            BenchmarkError: something is missing, or some connections received more messages than others.
        """
        report = self._complete(self.read_answer(90))
        fewest = report["min_messages"] if receivers is None else report["min_of_receivers"]
        if fewest != report["max_messages"] or receivers not in (None, report["receivers"]):
            raise BenchmarkError(f"{self.name}: the connections have not all received the same: {report}")
        return report

    def relay(self, count: int, rate: float, room_size: int, receivers: int, containing: str) -> dict[str, Any]:
        """Send `count` signals, `rate` a second, each received by `receivers` members of its room."""
        timeout = count / rate + TIMEOUT
        command = f"relay {count} {rate:g} {room_size} {receivers} {timeout:g} {containing}"
        return self._complete(self.request(command, timeout + 10))

    def post(self, count: int, rate: float, receivers: int, containing: str) -> dict[str, Any]:
        """Post `count` messages, `rate` a second, each received by `receivers` connections."""
        timeout = count / rate + TIMEOUT
        return self._complete(self.request(f"post {count} {rate:g} {receivers} {timeout:g} {containing}", timeout + 10))

    def storm(self, count: int, concurrency: int, ready: str, subscribed: str) -> dict[str, Any]:
        """Cut `count` connections, and open and subscribe them again, `concurrency` at a time."""
        self.drop(count)
        return self._complete(self.request(f"storm {concurrency} {TIMEOUT:g} {ready}\t{subscribed}", TIMEOUT + 10))

    def drop(self, count: int) -> None:
        """Cut connections without a close frame."""
        self.request(f"drop {count}")

    def _complete(self, report: dict[str, Any]) -> dict[str, Any]:
        if not report["complete"]:
            raise BenchmarkError(f"{self.name}: not everything arrived: {report}")
        return report


def _file_option(name: str, option: str, lines: Iterable[str]) -> list[str | Path]:
    """Write the lines of an option into a file; return the option, or nothing if all lines are empty."""
    text = "".join(f"{line}\n" for line in lines)
    if not text.strip():
        return []
    file = BUILD / f"{name}.{option}"
    file.write_text(text)
    return [f"--{option}-file", file]
