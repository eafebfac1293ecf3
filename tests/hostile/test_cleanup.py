"""No failure leaves a socket, task, interest or descriptor behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Awaitable, Coroutine, Generator, Iterable, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from hubbub import (
    Context,
    Domain,
    Envelope,
    Gateway,
    Handshake,
    Identity,
    InternalDisconnect,
    MessageNew,
    MessengerDomain,
    Router,
    ServerEvent,
    Topic,
    Typing,
    notify,
)
from hubbub.bus.interests import Interests
from hubbub.connections.dispatcher import Dispatcher
from hubbub.contract.topics import Interest
from hubbub.testing import Address, ManualClock
from tests.connections.test_interleavings import STEPS, run
from tests.hostile.load import Tell
from tests.support import Client, authenticate, make_gateway, running, services_of
from tests.websocket import RawSocket, frame

TEXT, CLOSE = 1, 8


# --- a fault at every await -----------------------------------------------------------------------------------------


class Interrupted:
    """Drives a coroutine, and raises an error in it at its n-th await."""

    def __init__(self, work: Coroutine[Any, Any, None], at: int, error: type[BaseException]) -> None:
        self.work = work
        self.at = at
        self.error = error
        self.awaits = 0

    @property
    def has_raised(self) -> bool:
        return self.awaits >= self.at

    def __await__(self) -> Generator[Any, Any, None]:
        raised: BaseException | None = None
        while True:
            try:
                waited = self.work.send(None) if raised is None else self.work.throw(raised)
            except StopIteration:
                return
            self.awaits += 1
            if self.awaits == self.at:
                raised = self.error("raised at an await")
                continue
            try:
                yield waited
                raised = None
            except BaseException as error:  # noqa: BLE001 - it belongs to the driven coroutine
                raised = error

    async def run(self) -> None:
        await self


class FaultInjector:
    """Interrupts the `which`-th task of a node at its `at`-th await."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, which: int, at: int, error: type[BaseException]) -> None:
        self.tasks = 0
        self.interrupted: Interrupted | None = None
        spawn = Dispatcher.spawn

        def spawn_interrupted(dispatcher: Dispatcher, work: Coroutine[Any, Any, None]) -> None:
            self.tasks += 1
            if self.tasks == which:
                self.interrupted = Interrupted(work, at, error)
                work = self.interrupted.run()
            spawn(dispatcher, work)

        monkeypatch.setattr(Dispatcher, "spawn", spawn_interrupted)

    @property
    def has_raised(self) -> bool:
        return self.interrupted is not None and self.interrupted.has_raised


class Waiting(Domain):
    """Awaits twice in every hook and handler, and counts connected sockets."""

    events = MessengerDomain.events

    def __init__(self) -> None:
        self.present = 0
        self.has_ended = asyncio.Event()

    def register_handlers(self, router: Router) -> None:
        router.on(Typing, self.typing)

    async def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
        await twice()
        self.bus.publish(message.data, exclude=ctx)

    async def on_connect(self, ctx: Context) -> None:
        self.present += 1
        await twice()

    async def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        await twice()
        return ()

    async def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> None:
        self.present -= 1
        await twice()


async def twice() -> None:
    for _ in range(2):
        await asyncio.sleep(0)


async def slow_authenticate(handshake: Handshake) -> Identity | None:
    await twice()
    return authenticate(handshake)


async def slow_authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    await twice()
    return topics


async def use_socket(server: Address) -> None:
    """Connect, subscribe, type and disconnect, whatever the server answers."""
    async with RawSocket.open(server, "alice") as raw:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            opcode, _ = await raw.next_frame()
            if opcode == CLOSE:
                return
            topics = b'{"topics":[{"kind":"conversation","id":"c"},{"kind":"user","id":"bob"}]}'
            await raw.write(frame(TEXT, b'{"type":"client.system.subscribe","data":%b,"ts":1}' % topics))
            data = b'{"conversationId":"c","userId":"u","isTyping":true}'
            await raw.write(frame(TEXT, b'{"type":"client.messenger.typing","data":%b,"ts":1}' % data))
            await raw.write(frame(TEXT, b'{"type":"client.system.subscribe","data":{"topics":[]},"ts":1}'))
            while opcode != CLOSE:
                opcode, payload = await raw.next_frame()
                if b'"topics":[],' in payload:  # the answer to the last request
                    await raw.write(frame(CLOSE, (1000).to_bytes(2)))


def count_holds(monkeypatch: pytest.MonkeyPatch, interests: Interests) -> Counter[Interest]:
    """Count from now on how often each interest is held and not released."""
    held: Counter[Interest] = Counter()
    hold, release = interests.hold, interests.release

    def counted_hold(wanted: Iterable[Interest]) -> Awaitable[None] | None:
        wanted = list(wanted)
        held.update(wanted)
        return hold(wanted)

    def counted_release(wanted: Sequence[Interest]) -> None:
        held.subtract(wanted)
        release(wanted)

    monkeypatch.setattr(interests, "hold", counted_hold)
    monkeypatch.setattr(interests, "release", counted_release)
    return held


async def assert_nothing_is_left(gateway: Gateway, domain: Waiting, held: Counter[Interest], tasks: int) -> None:
    """Wait until everything has ended, then assert that every registry is empty."""
    admission = gateway.admission
    assert admission is not None
    services = admission.services
    while admission.open_count or len(services.dispatcher):
        await asyncio.sleep(0)
    hub = services.hub
    assert (len(hub), hub.user_count, hub.topic_count, len(services.heartbeat)) == (0, 0, 0, 0)
    assert domain.present == 0
    assert set(held.values()) <= {0}
    assert not admission.withdrawn
    while len(asyncio.all_tasks()) > tasks:
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError, TimeoutError])
async def test_an_error_at_any_await_leaves_nothing_behind(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch, tell: Tell
) -> None:
    fault_count = interests_held = 0
    for which in range(1, 100):
        for at in range(1, 100):
            domain = Waiting()
            gateway = make_gateway(authenticate=slow_authenticate, authorize=slow_authorize, domains=[domain])
            with monkeypatch.context() as patch:
                async with running(gateway) as server:
                    held = count_holds(patch, services_of(gateway).interests)
                    tasks = len(asyncio.all_tasks())
                    injector = FaultInjector(patch, which, at, error)
                    await use_socket(server)
                    await assert_nothing_is_left(gateway, domain, held, tasks)
                    interests_held += len(held)
            if not injector.has_raised:
                break
            fault_count += 1
        if injector.interrupted is None:
            break
    tell(f"{error.__name__} raised at {fault_count} awaits of {which - 1} tasks")
    assert interests_held > 0
    assert fault_count >= 12  # two each of authenticate, authorize, snapshot, the handler and both hooks


# --- any order of steps ---------------------------------------------------------------------------------------------


async def use_and_end_socket(gateway: Gateway, server: Address, user: str, dice: random.Random) -> None:
    """Open a socket, use it, and end it in a random way."""
    async with RawSocket.open(server, user) as raw:
        await raw.next_frame()  # ready
        for _ in range(dice.randrange(4)):
            await raw.write(frame(TEXT, b'{"type":"client.system.subscribe","data":{"topics":[]},"ts":1}'))
            notify(MessageNew("c", "m", user, ""))
        match dice.randrange(5):
            case 0:
                raw.writer.transport.abort()
            case 1:
                await raw.write(frame(CLOSE, (1000).to_bytes(2)))
            case 2:
                await gateway.disconnect(user)
            case 3:
                await raw.write(frame(TEXT, b"{"))
            case 4:
                await raw.write(frame(TEXT, b"x" * 100)[:50])


async def test_sockets_that_end_in_any_way_free_their_descriptors_and_tasks(tell: Tell) -> None:
    clock = ManualClock()
    gateway = make_gateway(clock=clock)
    dice = random.Random(1)
    async with running(gateway) as server:
        async with Client.open(server, "warm", "conversation:c"):
            pass
        admission = gateway.admission
        assert admission is not None
        while admission.open_count:
            await asyncio.sleep(0)
        tasks, descriptors = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))

        for batch in range(10):
            runs = (use_and_end_socket(gateway, server, f"user-{number}", dice) for number in range(batch, batch + 40))
            await asyncio.gather(*runs)
        while admission.open_count:
            await asyncio.sleep(0)

        assert (len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))) == (tasks, descriptors)
        assert gateway.load.sockets == len(services_of(gateway).heartbeat) == 0
        tell(f"{gateway.stats.connects} sockets opened and closed, with close codes {dict(gateway.stats.closes)}")


@pytest.mark.soak
def test_a_hundred_thousand_steps_in_any_order_leave_nothing_behind(tell: Tell) -> None:
    steps_taken = 0

    @settings(
        max_examples=2_000,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=50, max_size=100))
    def run_steps(steps: list[tuple[Any, ...]]) -> None:
        nonlocal steps_taken
        steps_taken += len(steps)
        asyncio.run(run(steps))

    run_steps()
    tell(f"{steps_taken} steps")
    assert steps_taken >= 100_000
