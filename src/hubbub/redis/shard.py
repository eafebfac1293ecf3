"""One server of Redis: a connection to publish and one to receive, kept up for as long as the node runs.

See docs/decisions/0006 for why Hubbub supervises connections itself. In short: redis-py's pub/sub reconnects without
reporting that messages were lost, and a server can answer every command and no longer deliver.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from hubbub.backoff import Backoff
from hubbub.contract.topics import Interest
from hubbub.redis.command_queue import CommandQueue, OnResult, PendingCommand, ignore
from hubbub.redis.connection import FAILURES, Address, Connector, RedisConnection, ServerInfo, UnusableServer
from hubbub.redis.resp import SHARDED, PubSubCommands, redis_command
from hubbub.redis.subscriptions import ChannelSubscriptions
from hubbub.redis.throttled_logger import OutageLog

logger = logging.getLogger("hubbub.brokers")

FIRST_PROBE_SECONDS: Final = 2.0
"""How long the first probe of a new connection may take. A server that swallows it is given up soon, so that the next
attempt makes delivery resume within five seconds of the server's return."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The seconds that decide how soon trouble with Redis is noticed."""

    probe: float = 5.0
    """Between two probes of one connection."""

    silence: float = 5.0
    """After which a connection that does not answer, or does not deliver what was published, is given up."""

    connect: float = 2.0
    """What opening a connection may take."""


class ShardListener(Protocol):
    """What a shard connection reports to its owner."""

    def message(self, shard: ShardConnection, channel: bytes, data: bytes) -> None:
        """Handle what was published on a channel."""

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Handle that messages may have been lost on the way to this node; None means for every interest."""

    def shard_up(self, shard: ShardConnection) -> None:
        """Handle that the shard is connected, and delivers what is published on its server."""

    def shard_down(self, shard: ShardConnection) -> None:
        """Handle that the shard, or an attempt to connect to it, has failed."""

    def checkpoint(self, shard: ShardConnection) -> None:
        """Handle that everything the server had to deliver until a moment ago has arrived."""

    def slots_moved(self, shard: ShardConnection) -> None:
        """Handle that some of the shard's channels are on another server by now."""


class ShardConnection:
    """Supervises the two connections to one server, and subscribes again after each gap.

    The two are one unit: if one fails, both are opened again. That costs a needless resync when only the publishing one
    breaks, and leaves a single kind of gap to reason about.

    Args:
        address: Host and port; None for the server of the connector's URL.
        connector: Opens the connections.
        listener: Is notified of what happens.
        timing: When trouble is noticed.
        max_bytes: The most bytes of commands that may wait.
    """

    def __init__(
        self, address: Address | None, connector: Connector, listener: ShardListener, timing: Timing, max_bytes: int
    ) -> None:
        self.address = address
        self.subscriptions = ChannelSubscriptions()
        self.connected_at: object = None
        """The server's answer to TIME when it was connected to last."""
        self._connector = connector
        self._listener = listener
        self._timing = timing
        self._queue = CommandQueue(max_bytes)
        self._pubsub: PubSubCommands = SHARDED
        self._probe_channel = b""
        self._next_probe_channel = b""
        self._echo: asyncio.Future[None] | None = None  # done when the probe under way is back
        self._lost: list[Interest] = []
        self._has_lost_all = False
        self._confirmations = 0
        self._to_send = asyncio.Event()
        self._to_subscribe = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        name = connector.display_url if address is None else "{}:{}".format(*address)
        self._outage = OutageLog(logger, f"Redis at {name}", f"Redis at {name} is back")
        self._name = name

    @property
    def is_up(self) -> bool:
        """Return whether it is connected, and delivers what is published on its server."""
        return self.subscriptions.is_up

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._supervise(), name=f"hubbub shard {self._name}")

    async def stop(self) -> None:
        """Disconnect; nothing arrives afterwards."""
        if self._sweep is not None:
            self._sweep.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def execute(self, command: bytes, on_result: OnResult = ignore, interest: Interest | None = None) -> bool:
        """Queue a command; return False, and never call `on_result`, without a connection or room."""
        if not self._queue.put(PendingCommand(command, on_result, interest)):
            return False
        self._to_send.set()
        return True

    def publish(self, channel: bytes, data: bytes, on_result: OnResult, interest: Interest | None) -> bool:
        """Queue a message; see `execute`."""
        return self.execute(self._pubsub.publish(channel, data), on_result, interest)

    def request_subscriptions(self) -> None:
        """Subscribe in Redis to all new channels, those that follow in this turn of the loop included."""
        self._to_subscribe.set()

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe from a channel a little later, unless it gets a listener again."""
        loop = asyncio.get_running_loop()
        self.subscriptions.unsubscribe(channel, loop.time())
        if self._sweep is None and self.subscriptions.has_idle:
            self._sweep = loop.call_later(self.subscriptions.linger, self._end_idle)

    def use_probe_channel(self, channel: bytes) -> None:
        """Probe over this channel from the next connection on: the slot of the former one may have moved away."""
        self._next_probe_channel = channel

    def channels(self) -> list[bytes]:
        """Return every subscribed channel but the probe's."""
        return [channel for channel in self.subscriptions.channels() if channel != self._probe_channel]

    # --- supervision --------------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        # The task never ends by itself: only the app decides that a node gives up. `shard_down` follows every failed
        # attempt, the first included, since a failure may mean that this server's slots are elsewhere by now.
        backoff = Backoff()
        while True:
            try:
                await self._session(backoff)
            except* FAILURES as group:
                error = _first(group)
                self._outage.failed(str(error) or f"{type(error).__name__}: no answer in time")
            except* Exception:  # a bug of ours must not end delivery for good
                logger.exception("the connection to Redis at %s failed", self._name)
            finally:
                self.subscriptions.down()
                self._queue.close()
                self._listener.shard_down(self)
            await asyncio.sleep(backoff.next())

    async def _session(self, backoff: Backoff) -> None:
        """Connect and work until something fails, which is raised.

        The order matters (docs/decisions/0006). The probe goes first: a server that does not deliver is found before
        any socket relies on it. All channels are confirmed before the shard counts as up: data that a client fetches
        earlier may be out of date again.
        """
        async with contextlib.AsyncExitStack() as open_connections, asyncio.TaskGroup() as tasks:
            sender, receiver = [await self._connect(open_connections, name) for name in ("send", "receive")]
            async with asyncio.timeout(self._timing.connect):
                info = await sender.info()
                self.connected_at = await sender.execute(b"TIME")
            info.require_primary()
            self._pubsub = info.pubsub
            self._queue.is_open = True
            self._subscribe_to_probe()
            tasks.create_task(self._write(sender))
            tasks.create_task(self._read_answers(sender))
            tasks.create_task(self._subscribe(receiver))
            tasks.create_task(self._receive(receiver))
            await self._confirm([self._probe_channel], FIRST_PROBE_SECONDS)
            await self._probe(FIRST_PROBE_SECONDS)
            await self._confirm(self.subscriptions.channels(), self._timing.silence)
            backoff.reset()
            self._up()
            while True:
                await asyncio.sleep(self._timing.probe)
                await self._probe(self._timing.silence)
                self._listener.checkpoint(self)

    async def _connect(self, stack: contextlib.AsyncExitStack, name: str) -> RedisConnection:
        connection = await self._connector.connect(self.address, f"hubbub-{name}")
        stack.push_async_callback(connection.abort)
        return connection

    def _up(self) -> None:
        self.subscriptions.is_up = True
        self._outage.recovered()
        lost, self._lost = self._lost, []
        if self._has_lost_all:
            self._has_lost_all = False
            self._listener.on_loss(None)
        elif lost:
            self._listener.on_loss(lost)
        self._listener.shard_up(self)

    # --- what a session does at the same time -------------------------------------------------------------------------

    async def _write(self, connection: RedisConnection) -> None:
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while commands := self._queue.next_batch():
                await connection.write(commands)

    async def _read_answers(self, connection: RedisConnection) -> None:
        while True:
            if not self._queue.answered(await connection.read()):
                raise UnusableServer("it sent an answer without a command")

    async def _subscribe(self, connection: RedisConnection) -> None:
        loop = asyncio.get_running_loop()
        self._to_subscribe.set()
        while True:
            await self._to_subscribe.wait()
            self._to_subscribe.clear()
            ended = self._pubsub.unsubscribe(self.subscriptions.expired(loop.time()))
            begun = self._pubsub.subscribe(self.subscriptions.requests())
            if ended or begun:
                await connection.write(ended + begun)

    async def _receive(self, connection: RedisConnection) -> None:
        message, subscribed, unsubscribed = self._pubsub[3:]
        while True:
            push = await connection.read()
            if isinstance(push, Exception):
                raise UnusableServer(f"it refused to subscribe: {push}")
            kind, channel, content = push
            if kind == message:
                if channel == self._probe_channel:
                    _finish(self._echo, None)
                else:
                    self._listener.message(self, channel, content)
            elif kind == subscribed:
                self._confirmed(channel)
            elif kind == unsubscribed and self.subscriptions.ended(channel):
                self._listener.slots_moved(self)
                # A single server has no slots to move; without the probe's channel, its delivery cannot be checked.
                if self.address is None or channel == self._probe_channel:
                    raise UnusableServer("it ended a subscription by itself")

    # --- details ------------------------------------------------------------------------------------------------------

    def _subscribe_to_probe(self) -> None:
        if self._probe_channel != self._next_probe_channel:
            if self._probe_channel in self.subscriptions:
                self.subscriptions.transfer([self._probe_channel])
            self._probe_channel = self._next_probe_channel
            self.subscriptions.subscribe(self._probe_channel, None)

    async def _probe(self, seconds: float) -> None:
        """Publish over one connection, and wait until it comes back over the other; check that it is a primary as well.

        Only a message that went the whole way shows that a server delivers (docs/decisions/0006).
        """
        loop = asyncio.get_running_loop()
        self._echo = echo = loop.create_future()
        hello: asyncio.Future[object] = loop.create_future()
        self._queue.put_first(PendingCommand(self._pubsub.publish(self._probe_channel, b""), ignore))
        self._queue.put_first(
            PendingCommand(redis_command(b"HELLO"), lambda command, outcome, answer: _finish(hello, answer))
        )
        self._to_send.set()
        try:
            async with asyncio.timeout(seconds):
                await echo
                answer = await hello
        except TimeoutError:
            raise UnusableServer(f"it did not deliver within {seconds:g} s") from None
        finally:
            self._echo = None
        if not isinstance(answer, list):
            raise UnusableServer(f"unexpected answer to HELLO: {answer}")
        ServerInfo.parse(answer).require_primary()

    def _confirmed(self, channel: bytes) -> None:
        self._confirmations += 1
        if not self.subscriptions.confirmed(channel) or channel == self._probe_channel:
            return
        interest = self.subscriptions.interest(channel)
        if self.is_up:
            self._listener.on_loss(None if interest is None else (interest,))
        elif interest is None:
            self._has_lost_all = True
        else:
            self._lost.append(interest)

    async def _confirm(self, channels: Iterable[bytes], seconds: float) -> None:
        """Wait until channels are confirmed, for as long as some confirmation comes within each `seconds`."""
        done = asyncio.Event()
        wait = self.subscriptions.wait(channels, done.set)
        self._to_subscribe.set()
        while wait.missing:
            before = self._confirmations
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), seconds)
            if wait.missing and before == self._confirmations:
                raise UnusableServer(f"it did not confirm a subscription within {seconds:g} s")

    def _end_idle(self) -> None:
        self._sweep = None
        self._to_subscribe.set()
        if self.subscriptions.has_idle:
            self._sweep = asyncio.get_running_loop().call_later(self.subscriptions.linger, self._end_idle)


def _finish(future: asyncio.Future[T] | None, result: T) -> None:
    if future is not None and not future.done():
        future.set_result(result)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
