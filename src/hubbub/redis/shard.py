"""Two connections to one server of Redis, one to publish and one to receive, kept up for as long as it takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from hubbub.contract.topics import Interest
from hubbub.redis.backoff import Backoff
from hubbub.redis.command_queue import Outbound, Parcel
from hubbub.redis.connection import FAILURES, Address, Dialer, Hello, Unusable, Wire, read_hello
from hubbub.redis.probe import Probe
from hubbub.redis.resp import SHARDED, Dialect
from hubbub.redis.subscriptions import Listening

logger = logging.getLogger("hubbub.brokers")

FIRST_ECHO_SECONDS: Final = 2.0
"""What the first round trip of a new connection may take: a server that swallows it is given up for the next attempt
soon, so that delivery begins within five seconds of the server's return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The seconds that decide how soon trouble with Redis is noticed."""

    probe: float = 5.0
    """Between two probes of one connection."""

    silence: float = 5.0
    """After which a connection that does not answer, or does not bring what was published, is given up."""

    connect: float = 2.0
    """What a connection may take to be made."""


class Owner(Protocol):
    """Whom a link tells what happens."""

    def arrived(self, link: Link, channel: bytes, data: bytes) -> None:
        """Is told what was published on a channel."""

    def lost(self, interests: Iterable[Interest] | None) -> None:
        """Is told what may not have arrived here; None stands for everything."""

    def is_up(self, link: Link) -> None:
        """Is told that a link works."""

    def is_fine(self, link: Link) -> None:
        """Is told that all that its server had to deliver until a moment ago has arrived."""

    def is_down(self, link: Link) -> None:
        """Is told that a link, or an attempt to make it, has failed."""

    def has_moved(self, link: Link) -> None:
        """Is told that some of a link's channels are at another server by now."""


class Link:
    """Supervises the connections to one server, and resubscribes after each gap.

    Both are one unit: where one fails, both are made anew.
    """

    def __init__(self, address: Address | None, dialer: Dialer, owner: Owner, timing: Timing, max_bytes: int) -> None:
        self.address = address
        self.probe = Probe()
        self.listening = Listening()
        self.outbound = Outbound(max_bytes)
        self.dialect: Dialect = SHARDED
        self.connected_at: object = None
        """The answer to TIME when it connected last."""
        self._dialer = dialer
        self._owner = owner
        self._timing = timing
        self._lost: list[Interest] = []
        self._has_lost_all = False
        self._confirmations = 0
        self._to_send = asyncio.Event()
        self._to_ask = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""

    @property
    def is_up(self) -> bool:
        """Tells whether it delivers."""
        return self.listening.is_up

    def start(self) -> None:
        """Begins to connect."""
        self._task = asyncio.create_task(self._supervise(), name=f"hubbub link to {self._name}")

    async def stop(self) -> None:
        """Disconnects; nothing arrives afterwards."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def send(self, parcel: Parcel) -> bool:
        """Takes what is to be published; tells whether it did."""
        if not self.outbound.put(parcel):
            return False
        self._to_send.set()
        return True

    def ask(self) -> None:
        """Has what is wanted subscribed to, together with what else is wanted in this turn of the loop."""
        self._to_ask.set()

    def unwant(self, channel: bytes) -> None:
        """Withdraws a channel a little later."""
        loop = asyncio.get_running_loop()
        self.listening.unwant(channel, loop.time())
        if self._sweep is None and self.listening.has_idle:
            self._sweep = loop.call_later(self.listening.linger, self._end_idle)

    # --- supervision --------------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return self._dialer.shown if self.address is None else "{}:{}".format(*self.address)

    async def _supervise(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._session(backoff)
            except* FAILURES as group:
                self._complain(_first(group))
            except* Exception:  # a fault of ours must not end delivery for good
                logger.exception("the link to %s failed", self._name)
            finally:
                self._fall()
            await asyncio.sleep(backoff.next())

    async def _session(self, backoff: Backoff) -> None:
        """Connects and works until something fails, which is raised."""
        async with contextlib.AsyncExitStack() as wires, asyncio.TaskGroup() as tasks:
            sending, receiving = [await self._dial(wires, name) for name in ("hubbub-send", "hubbub-receive")]
            async with asyncio.timeout(self._timing.connect):
                hello = read_hello(await sending.ask(b"HELLO"))
                self.connected_at = await sending.ask(b"TIME")
            self._check(hello)
            self.dialect = hello.dialect
            self.outbound.is_open = True
            self.probe.listen(self.listening)
            tasks.create_task(self._write(sending))
            tasks.create_task(self._read_answers(sending))
            tasks.create_task(self._subscribe(receiving))
            tasks.create_task(self._receive(receiving))
            await self._confirm([self.probe.channel], FIRST_ECHO_SECONDS)
            await self._round_trip(FIRST_ECHO_SECONDS)
            await self._confirm(self.listening.channels(), self._timing.silence)
            backoff.reset()
            self._rise()
            while True:
                await asyncio.sleep(self._timing.probe)
                await self._round_trip(self._timing.silence)
                self._owner.is_fine(self)

    async def _dial(self, wires: contextlib.AsyncExitStack, name: str) -> Wire:
        wire = await self._dialer.dial(self.address, name)
        wires.push_async_callback(wire.hang_up)
        return wire

    def _check(self, hello: Hello) -> None:
        if not hello.is_primary:
            raise Unusable("it is a replica: what is published there reaches nobody else")

    def _rise(self) -> None:
        self.listening.is_up = True
        if self._complaint:
            logger.warning("Redis at %s is back", self._name)
            self._complaint = ""
        lost, self._lost = self._lost, []
        if self._has_lost_all:
            self._has_lost_all = False
            self._owner.lost(None)
        elif lost:
            self._owner.lost(lost)
        self._owner.is_up(self)

    def _fall(self) -> None:
        self.listening.down()
        self.outbound.close()
        self._owner.is_down(self)

    def _complain(self, error: BaseException) -> None:
        """Says why it is down: once, and again where the reason changes."""
        text = str(error) or f"{type(error).__name__}: no answer in time"
        if text != self._complaint:
            self._complaint = text
            logger.warning("Redis at %s: %s", self._name, text)

    # --- what a session does at the same time -------------------------------------------------------------------------

    async def _write(self, wire: Wire) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while commands := self.outbound.batch():
                await wire.write(commands)

    async def _read_answers(self, wire: Wire) -> None:
        while True:
            if not self.outbound.answered(await wire.read()):
                raise Unusable("it answered what nobody has asked")

    async def _subscribe(self, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        self._to_ask.set()
        while True:
            await self._to_ask.wait()
            self._to_ask.clear()
            ended = self.dialect.unsubscribe(self.listening.expired(loop.time()))
            begun = self.dialect.subscribe(self.listening.requests())
            if ended or begun:
                await wire.write(ended + begun)

    async def _receive(self, wire: Wire) -> None:
        message, subscribed, unsubscribed = self.dialect[3:]
        while True:
            push = await wire.read()
            if isinstance(push, Exception):
                raise Unusable(f"it refused to subscribe: {push}")
            kind, channel, content = push
            if kind == message:
                if channel == self.probe.channel:
                    self.probe.heard()
                else:
                    self._owner.arrived(self, channel, content)
            elif kind == subscribed:
                self._confirmed(channel)
            elif kind == unsubscribed and self.listening.ended(channel):
                self._owner.has_moved(self)
                if self.address is None or channel == self.probe.channel:
                    raise Unusable("it ended a subscription by itself")

    # --- details ------------------------------------------------------------------------------------------------------

    def _confirmed(self, channel: bytes) -> None:
        self._confirmations += 1
        if not self.listening.confirmed(channel):
            return
        interest = self.listening.interest(channel)
        if channel == self.probe.channel:
            return
        if self.is_up:
            self._owner.lost(None if interest is None else (interest,))
        elif interest is None:
            self._has_lost_all = True
        else:
            self._lost.append(interest)

    async def _confirm(self, channels: Iterable[bytes], seconds: float) -> None:
        """Waits until channels are confirmed, for as long as any confirmation comes within ``seconds``."""
        done = asyncio.Event()
        wait = self.listening.wait(channels, done.set)
        self._to_ask.set()
        while wait.left:
            before = self._confirmations
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), seconds)
            if wait.left and before == self._confirmations:
                raise Unusable(f"it did not confirm a subscription within {seconds:g} s")

    async def _round_trip(self, seconds: float) -> None:
        hello = self.probe.go(self.outbound, self.dialect)
        self._to_send.set()
        self._check(await self.probe.back(hello, seconds))

    def _end_idle(self) -> None:
        self._sweep = None
        self._to_ask.set()
        if self.listening.has_idle:
            self._sweep = asyncio.get_running_loop().call_later(self.listening.linger, self._end_idle)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
