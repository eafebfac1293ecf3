"""`notify`, with which REST publishes to the bus: without a running gateway it does nothing."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from hubbub import ConfigurationError, Envelope, MessageNew, init_notifier, notify
from hubbub.bus.notifier import Event, current_notifier
from tests.support import Client, make_gateway, running, types

MESSAGE = MessageNew("c", "m", "u", "now")


@pytest.fixture(autouse=True)
def no_notifier() -> Iterator[None]:
    yield
    init_notifier(None)


def test_without_a_gateway_it_does_nothing() -> None:
    notify(MESSAGE)
    notify(Envelope.of(MESSAGE))


def test_it_passes_the_event_to_the_notifier_that_was_set() -> None:
    emitted: list[tuple[Event, object]] = []

    def emit(event: Event, users: Iterable[str] | None) -> None:
        emitted.append((event, users))

    init_notifier(emit)
    event = Envelope.of(MESSAGE)
    notify(event)
    notify(MESSAGE, users=["alice"])

    assert emitted == [(event, None), (MESSAGE, ["alice"])]


async def test_after_a_gateway_has_stopped_it_does_nothing() -> None:
    async with running(make_gateway()):
        notify(MESSAGE)
    notify("whatever")  # type: ignore[arg-type]


async def test_stopping_one_of_two_gateways_keeps_the_notifier_of_the_other() -> None:
    first, second = make_gateway(), make_gateway()
    await first.start()
    async with running(second) as server, Client.open(server, "bob", "conversation:c") as bob:
        await first.stop()
        notify(MESSAGE)

        assert types(await bob.heard()) == ["server.messenger.message_new"]


async def test_publishing_from_a_thread_while_the_gateway_stops_does_not_raise() -> None:
    gateway = make_gateway()
    await gateway.start()
    emit = current_notifier()
    assert emit is not None
    await gateway.stop()

    await asyncio.to_thread(emit, MESSAGE, None)


async def test_publishing_on_a_stopped_gateway_raises() -> None:
    with pytest.raises(ConfigurationError, match="does not run"):
        await make_gateway().publish(MESSAGE)
