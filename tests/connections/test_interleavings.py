"""Any interleaving of connect, subscribe, event, error and close leaves nothing behind.

A real node over fake transports, so thousands of steps take seconds. The handlers and the app's `authorize` wait at
gates that the test opens in whatever order Hypothesis picks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from websockets.frames import Close

from hubbub import (
    Context,
    Domain,
    Envelope,
    Identity,
    InternalDisconnect,
    MessageNew,
    MessengerDomain,
    Router,
    Topic,
    Typing,
    notify,
)
from hubbub.close_codes import RESTART, WITHDRAWN
from hubbub.connections.connection import Connection, State
from hubbub.testing import ManualClock
from tests.support import make_gateway


class FakeTransport:
    """Records what a connection writes and how it closes."""

    def __init__(self) -> None:
        self.data = b""
        self.closed: list[tuple[int, str]] = []
        self.is_reading = True

    def write(self, data: bytes) -> None:
        self.data += data

    def close(self, code: int, reason: str) -> None:
        Close(code, reason).serialize()  # raises if no close frame can carry it
        self.closed.append((code, reason))

    fail = close

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True


class Gates:
    """Gates where code waits until the test opens them. It then continues, or gets an exception."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        try:
            await gate
        finally:
            if gate in self.waiting:
                self.waiting.remove(gate)

    def open(self, index: int, error: Exception | None) -> None:
        if self.waiting:
            gate = self.waiting.pop(index % len(self.waiting))
            if gate.cancelled():
                return
            if error is None:
                gate.set_result(None)
            else:
                gate.set_exception(error)


class GatedDomain(Domain):
    """A domain that waits in every hook and handler, and records the sockets that connect and disconnect."""

    events = MessengerDomain.events

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self.connected: list[str] = []
        self.disconnected: list[str] = []

    def register_handlers(self, router: Router) -> None:
        router.on(Typing, self.typing)

    async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
        await self.gates.wait()
        self.bus.publish(message.data, exclude=ctx)

    async def on_connect(self, ctx: Context) -> None:
        self.connected.append(ctx.socket_id)
        await self.gates.wait()

    async def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
        self.disconnected.append(ctx.socket_id)
        await self.gates.wait()


class Scenario:
    """A running node, the sockets opened so far, and everything that can happen to them."""

    def __init__(self) -> None:
        self.gates = Gates()
        self.domain = GatedDomain(self.gates)
        self.clock = ManualClock()
        self.gateway = make_gateway(domains=[self.domain], authorize=self.authorize, clock=self.clock)
        self.sockets: list[tuple[Connection, FakeTransport]] = []

    async def authorize(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
        await self.gates.wait()
        return topics

    async def start(self) -> None:
        self.services = (await self.gateway.start()).services

    def connect(self, user: str) -> None:
        transport = FakeTransport()
        self.sockets.append((Connection(self.services, transport, Identity(user)), transport))

    def subscribe(self, socket: Connection, topics: list[str]) -> None:
        pairs = [topic.partition(":")[::2] for topic in topics]
        wanted = [{"kind": kind, "id": id} for kind, id in pairs]
        socket.receive(message("client.system.subscribe", {"topics": wanted}))

    def typing(self, socket: Connection) -> None:
        data = {"conversationId": "c1", "userId": "x", "isTyping": True}
        socket.receive(message("client.messenger.typing", data))

    def garbage(self, socket: Connection) -> None:
        socket.receive("{")

    def peer_closes(self, socket: Connection) -> None:
        socket.disconnected(1000)

    def server_closes(self, socket: Connection) -> None:
        socket.close(RESTART)

    def overflow(self, socket: Connection) -> None:
        socket.send_buffer_full()

    def publish(self, conversation: str) -> None:
        notify(MessageNew(conversation, "m", "alice", ""))

    async def withdraw(self, user: str) -> None:
        await self.gateway.disconnect(user)

    def open_gate(self, index: int, fails: bool) -> None:
        self.gates.open(index, RuntimeError("a bug") if fails else None)

    async def turn(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    def time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def step(self, act: Callable[..., Awaitable[None] | None], *arguments: Any) -> None:
        """Do one step. `SocketNumber` stands for one of the sockets opened so far."""
        if arguments and isinstance(arguments[0], SocketNumber):
            if not self.sockets:
                return
            arguments = (self.sockets[arguments[0].number % len(self.sockets)][0], *arguments[1:])
        result = act(self, *arguments)
        if result is not None:
            await result
        for socket, _ in self.sockets:
            assert (socket in self.services.hub) == (socket.state is State.READY)
            if socket.state is not State.READY:
                assert (socket.subscriptions, socket.pending) == ({}, None)

    async def end(self) -> None:
        """Close every socket, let everything finish, and assert that nothing is left behind."""
        for socket, _ in self.sockets:
            socket.close(WITHDRAWN)
            socket.disconnected()
        while len(self.services.dispatcher):
            self.gates.open(0, None)
            await asyncio.sleep(0)
        self.clock.advance(5)
        hub, stats = self.services.hub, self.services.stats
        assert (len(hub), hub.user_count, hub.topic_count, len(self.services.heartbeat)) == (0, 0, 0, 0)
        assert await self.services.presence.stop() == {}  # it remembers no user
        assert sorted(self.domain.connected) == sorted(self.domain.disconnected)
        assert sum(stats.closes.values()) == stats.connects == len(self.sockets)
        for socket, transport in self.sockets:
            assert socket.state is State.CLOSED
            assert (socket.inbox, socket.current_job, socket.pending) == (None, None, None)
            assert len(transport.closed) <= 1


class SocketNumber(NamedTuple):
    """One of the sockets opened so far."""

    number: int


USERS = st.sampled_from(["alice", "bob"])
TOPICS = st.lists(st.sampled_from(["conversation:c1", "conversation:c2", "user:alice"]), max_size=3)
SOCKETS = st.builds(SocketNumber, st.integers(0, 7))
STEPS = st.one_of(
    st.tuples(st.just(Scenario.connect), USERS),
    st.tuples(st.just(Scenario.subscribe), SOCKETS, TOPICS),
    st.tuples(st.just(Scenario.typing), SOCKETS),
    st.tuples(st.just(Scenario.garbage), SOCKETS),
    st.tuples(st.just(Scenario.peer_closes), SOCKETS),
    st.tuples(st.just(Scenario.server_closes), SOCKETS),
    st.tuples(st.just(Scenario.overflow), SOCKETS),
    st.tuples(st.just(Scenario.publish), st.sampled_from(["c1", "c2"])),
    st.tuples(st.just(Scenario.withdraw), USERS),
    st.tuples(st.just(Scenario.open_gate), st.integers(0, 7), st.booleans()),
    st.tuples(st.just(Scenario.turn), st.integers(1, 3)),
    st.tuples(st.just(Scenario.time), st.sampled_from([1.0, 25.0, 80.0])),
)


def message(type: str, data: object) -> str:
    return json.dumps({"type": type, "data": data, "ts": 1})


async def run(steps: Sequence[tuple[Any, ...]]) -> None:
    scenario = Scenario()
    await scenario.start()
    try:
        for act, *arguments in steps:
            await scenario.step(act, *arguments)
        await scenario.end()
    finally:
        await scenario.gateway.stop()


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_any_interleaving_leaves_nothing_behind(steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(run(steps))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_socket_that_closes_during_authorization_subscribes_to_nothing(fails: bool) -> None:
    await run(
        [
            (Scenario.connect, "alice"),
            (Scenario.turn, 1),
            (Scenario.open_gate, 0, False),
            (Scenario.turn, 2),
            (Scenario.subscribe, SocketNumber(0), ["conversation:c1"]),
            (Scenario.turn, 1),
            (Scenario.peer_closes, SocketNumber(0)),
            (Scenario.open_gate, 0, fails),
            (Scenario.turn, 3),
            (Scenario.publish, "c1"),
            (Scenario.turn, 1),
        ]
    )
