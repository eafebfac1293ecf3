"""Mistakes in the set-up raise at set-up, and the errors name the remedy."""

from __future__ import annotations

import pytest

from hubbub import (
    ClientEvent,
    ConfigurationError,
    Context,
    ContractError,
    Domain,
    Envelope,
    Limits,
    MessageNew,
    MessengerDomain,
    Payload,
    Router,
    ServerEvent,
    Typing,
    event,
)
from tests.support import make_gateway, running


def typing(ctx: Context, message: Envelope[Typing]) -> None: ...


def test_a_handler_is_found_by_the_name_of_its_event() -> None:
    router = Router()
    router.on(Typing, typing)

    assert dict(router) == {"client.messenger.typing": typing}


def test_an_event_has_one_handler() -> None:
    router = Router()
    router.on(Typing, typing)

    with pytest.raises(ConfigurationError, match="already has a handler: typing"):
        router.on(Typing, typing)


def test_a_server_event_has_no_handler() -> None:
    with pytest.raises(ConfigurationError, match=r"no client sends server\.messenger\.message_new"):
        Router().on(MessageNew, typing)  # type: ignore[type-var, arg-type]


async def test_a_client_event_without_a_handler_raises_at_start() -> None:
    class WithoutHandlers(Domain):
        events = MessengerDomain.events

    gateway = make_gateway(domains=[WithoutHandlers()])
    with pytest.raises(ConfigurationError, match=r"no domain handles client\.messenger\.typing"):
        await gateway.start()


def test_two_events_with_the_same_name_raise() -> None:
    @event("client.messenger.typing")
    class Other(ClientEvent, frozen=True):
        """Another one."""

    class OtherDomain(Domain):
        events = (Other,)

    with pytest.raises(ConfigurationError, match="declared by both"):
        make_gateway(domains=[MessengerDomain(), OtherDomain()])


def test_a_name_must_say_domain_and_direction() -> None:
    for name in ("typing", "client.typing", "both.a.b", "client.A.b", "client.a.b.c"):
        with pytest.raises(ConfigurationError, match="expected client"):
            event(name)(type("Broken", (ClientEvent,), {}))


def test_the_base_class_must_agree_with_the_name() -> None:
    with pytest.raises(ConfigurationError, match="must have the base ClientEvent"):

        @event("client.a.b")
        class Down(ServerEvent, frozen=True): ...

    with pytest.raises(ConfigurationError, match="must have the base ServerEvent"):

        @event("server.a.b")
        class Up(ClientEvent, frozen=True): ...

    with pytest.raises(ConfigurationError, match="must have the base Payload"):

        @event("server.a.b", internal=True)
        class Internal(ServerEvent, frozen=True): ...

    with pytest.raises(ConfigurationError, match="must have the base"):

        @event("server.a.b")
        class Neither(Payload, frozen=True): ...


def test_an_audience_names_fields_that_exist() -> None:
    with pytest.raises(ConfigurationError, match="names 'order_id'"):

        @event("server.orders.placed", topics={"order": "order_id"})
        class Placed(ServerEvent, frozen=True):
            number: int

    with pytest.raises(ConfigurationError, match="topic kind 'Order'"):

        @event("server.orders.placed", topics={"Order": "order_id"})
        class Cased(ServerEvent, frozen=True):
            order_id: str

    with pytest.raises(ConfigurationError, match="may have an audience"):

        @event("client.orders.watch", topics={"order": "order_id"})
        class Watch(ClientEvent, frozen=True):
            order_id: str


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "ws"}, "must start with a slash"),
        ({"heartbeat_interval": 0}, "heartbeat_interval must be at least"),
        ({"presence_tick": -1}, "presence_tick must be at least"),
        ({"away_after": float("nan")}, "away_after must be at least"),
        ({"offline_after": -1}, "offline_after must be at least"),
        ({"flush_interval": float("inf")}, "flush_interval must be at least"),
        ({"allowed_origins": ["app.example"]}, "is not an origin"),
    ],
)
def test_a_gateway_refuses_invalid_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make_gateway(**options)


def test_a_payload_without_a_json_form_is_refused_at_set_up() -> None:
    @event("server.odd.number")
    class Odd(ServerEvent, frozen=True):
        """Has a field of a type without a JSON form."""

        value: complex

    class OddDomain(Domain):
        events = (Odd,)

    with pytest.raises(ContractError, match="complex"):
        make_gateway(domains=[OddDomain()])


def test_limits_must_be_positive() -> None:
    with pytest.raises(ConfigurationError, match=r"Limits\.message_bytes must be positive"):
        Limits(message_bytes=0)


async def test_a_gateway_serves_one_app_at_a_time() -> None:
    gateway = make_gateway()
    async with running(gateway):
        with pytest.raises(ConfigurationError, match="already runs"):
            await gateway.start()
