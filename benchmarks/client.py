"""The load generator as Python sees it: ``c/client.c``, with an identity per connection."""

from __future__ import annotations

from typing import Any, Final

from benchmarks import workload
from benchmarks.process import BUILD, BenchmarkError, Program, compile_c

AT_ONCE: Final = 64
"""Handshakes, or subscribes, under way at the same time: enough to keep a server busy, far below its backlog."""


class Client(Program):
    """The C client, for up to ``sockets`` connections of as many users, each with a token of its own."""

    def __init__(self, name: str, port: int, sockets: int, core: int | None = None) -> None:
        BUILD.mkdir(exist_ok=True)
        headers, messages = BUILD / f"{name}.headers", BUILD / f"{name}.messages"
        headers.write_text("".join(f"Authorization: Bearer {workload.token(index)}\n" for index in range(sockets)))
        messages.write_text("".join(f"{workload.subscribe(index)}\n" for index in range(sockets)))
        options = ("--path", workload.PATH, "--headers-file", headers, "--messages-file", messages)
        super().__init__(name, compile_c("client"), str(port), *options, core=core, speaks=True)

    def connect(self, count: int, until: str = "") -> None:
        """Opens ``count`` more connections; with ``until``, waits on each for a message that contains it."""
        self._check(self.ask(f"connect {count} {AT_ONCE} 60 {until}", 70))

    def subscribe(self, until: str) -> None:
        """Sends the subscribe event on every connection, and waits on each for the answer."""
        self._check(self.ask(f"send {AT_ONCE} 60 {until}", 70))

    def expect(self, messages: int, containing: str) -> None:
        """Starts to count messages that contain a text; ``arrived`` waits for them."""
        self.ask(f"expect {messages} 30 {containing}")

    def arrived(self) -> dict[str, Any]:
        """Waits for the expected messages; every connection must have got the same number."""
        answer = self.answer(40)
        self._check(answer)
        if answer["fewest"] != answer["most"]:
            raise BenchmarkError(f"{self.name}: not everybody heard the same: {answer}")
        return answer

    def _check(self, answer: dict[str, Any]) -> None:
        if not answer["complete"]:
            raise BenchmarkError(f"{self.name}: not everything arrived: {answer}")
