"""Whether what is published over one connection comes back over the other."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from hubbub.outcome import Outcome
from hubbub.redis.command_queue import Outbound, Parcel
from hubbub.redis.connection import Hello, Unusable, read_hello
from hubbub.redis.resp import Dialect, command
from hubbub.redis.subscriptions import Listening

T = TypeVar("T")


class Probe:
    """Goes the whole way, so it also finds a server that answers every command and no longer delivers."""

    def __init__(self) -> None:
        self.channel = b""
        """The channel over which a link hears itself."""
        self.next_channel = b""
        """The one to use from the next connection on: slots may move away."""
        self._echo: asyncio.Future[None] | None = None

    def listen(self, listening: Listening) -> None:
        """Declares the channel, in place of the one before."""
        if self.channel != self.next_channel:
            if self.channel in listening:
                listening.surrender([self.channel])
            self.channel = self.next_channel
            listening.want(self.channel, None)

    def go(self, outbound: Outbound, dialect: Dialect) -> asyncio.Future[object]:
        """Publishes a probe; gives what the server will say about itself, for which it is asked on the way."""
        loop = asyncio.get_running_loop()
        self._echo = loop.create_future()
        hello: asyncio.Future[object] = loop.create_future()
        outbound.put_first(Parcel(dialect.publish(self.channel, b""), _ignore))
        outbound.put_first(Parcel(command(b"HELLO"), lambda parcel, outcome, answer: _set(hello, answer)))
        return hello

    async def back(self, hello: asyncio.Future[object], seconds: float) -> Hello:
        """Waits until the probe is back; raises Unusable where that takes longer than ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                if self._echo is not None:
                    await self._echo
                answer = await hello
        except TimeoutError:
            raise Unusable(f"it did not deliver within {seconds:g} s") from None
        finally:
            self._echo = None
        if not isinstance(answer, list):
            raise Unusable(f"it does not say what it is: {answer}")
        return read_hello(answer)

    def heard(self) -> None:
        """Takes in that a probe is back."""
        if self._echo is not None:
            _set(self._echo, None)


def _ignore(parcel: Parcel, outcome: Outcome, answer: object) -> None:
    """Settles a probe: what counts is that it comes back."""


def _set(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
