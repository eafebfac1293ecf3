"""How events are declared, and which mistakes that catches."""

from __future__ import annotations

from typing import Any

import pytest

from hubbub import (
    ClientEvent,
    ConfigurationError,
    Contract,
    ContractError,
    MessageNew,
    Payload,
    ServerEvent,
    Topic,
    Typing,
    event,
)
from hubbub.contract.registry import Direction, spec_of
from tests.contract.kinds import MESSENGER, payload_named

MESSAGE = MessageNew(conversation_id="c1", message_id="m1", sender_id="alice", created_at="2026-01-01T00:00:00Z")


class Both(ClientEvent, ServerEvent, frozen=True):
    pass


@pytest.mark.parametrize(
    ("name", "base", "direction"),
    [
        ("client.a.b", ClientEvent, Direction.CLIENT),
        ("client.a.b", Both, Direction.BOTH),
        ("server.a.b", ServerEvent, Direction.SERVER),
    ],
)
def test_the_base_class_is_the_direction(name: str, base: type[Any], direction: Direction) -> None:
    assert spec_of(event(name)(payload_named("Thing", base, []))).direction == direction


@pytest.mark.parametrize(
    ("name", "base", "fields", "options", "message"),
    [
        ("message_new", ServerEvent, [], {}, "expected client.<domain>.<event> or server.<domain>.<event>"),
        ("server.Shop.sold", ServerEvent, [], {}, "expected client.<domain>.<event>"),
        ("server.shop", ServerEvent, [], {}, "expected client.<domain>.<event>"),
        ("client.a.b", ServerEvent, [], {}, "must have the base ClientEvent"),
        ("server.a.b", ClientEvent, [], {}, "must have the base ServerEvent, without ClientEvent"),
        ("server.a.b", Both, [], {}, "must have the base ServerEvent, without ClientEvent"),
        ("server.a.b", Payload, [], {}, "must have the base ServerEvent"),
        ("server.a.b", ServerEvent, [], {"internal": True}, "an internal event must have the base Payload"),
        (
            "server.a.b",
            ServerEvent,
            [],
            {"topics": {"shop": "shop_id"}},
            "its audience names 'shop_id', so Thing needs",
        ),
        (
            "server.a.b",
            ServerEvent,
            [("n", int)],
            {"users": ["n"]},
            "its audience names 'n', so Thing needs it as a str",
        ),
        ("server.a.b", ServerEvent, [("a", str)], {"topics": {"Shop!": "a"}}, "topic kind 'Shop!' must match"),
        ("client.a.b", ClientEvent, [("a", str)], {"users": ["a"]}, "only an event that the server sends may have an"),
    ],
)
def test_a_declaration_that_does_not_fit_together_is_refused(
    name: str, base: type[Any], fields: list[Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        event(name, **options)(payload_named("Thing", base, fields))


def test_a_payload_names_its_topics_and_its_self_users() -> None:
    spec = spec_of(MessageNew)

    assert spec.topics_of(MESSAGE) == (Topic("conversation", "c1"),)
    assert spec.users_of(MESSAGE) == ("alice",)


def test_a_contract_lists_the_kinds_of_topic_that_events_are_addressed_to() -> None:
    assert {"conversation", "user"} == MESSENGER.topic_kinds


def test_two_payloads_with_the_same_name_are_refused() -> None:
    other = event("client.messenger.typing")(payload_named("Other", ClientEvent, []))

    with pytest.raises(ConfigurationError, match="is declared by both Typing and Other"):
        Contract([Typing, other])


def test_the_same_event_twice_is_one_event() -> None:
    assert list(Contract([Typing, Typing])) == ["client.messenger.typing"]


def test_a_subclass_of_an_event_is_not_an_event_until_it_is_declared() -> None:
    with pytest.raises(ContractError, match=r"is not an event: decorate it with @event"):
        spec_of(payload_named("MessageEdited", MessageNew, []))


def test_an_event_has_its_own_docstring_or_none() -> None:
    assert spec_of(MessageNew).doc.startswith("A message was created over REST.")
    assert spec_of(event("server.a.b")(payload_named("Thing", ServerEvent, []))).doc == ""
