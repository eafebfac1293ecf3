"""The common shape of all events, and what is refused when decoding and encoding."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hubbub import ContractError, ConversationsChanged, Envelope, MessageNew, PresenceUpdate, Typing
from hubbub.contract.envelope import decode, encode
from hubbub.errors import MalformedEvent, UnknownEvent
from tests.contract.kinds import MESSENGER

TYPING: dict[str, Any] = {"conversationId": "c1", "userId": "alice", "isTyping": True}


def message(**changes: Any) -> str:
    return json.dumps({"type": "client.messenger.typing", "data": TYPING, "ts": 1, **changes})


def test_an_event_is_camel_case_on_the_wire_and_absent_fields_are_absent() -> None:
    update = Envelope.of(PresenceUpdate(user_id="alice", status="online"), ts=5)

    assert json.loads(encode(update)) == {
        "type": "server.presence.update",
        "data": {"userId": "alice", "status": "online"},
        "ts": 5,
    }


def test_a_correlation_id_is_carried() -> None:
    assert json.loads(encode(Envelope.of(ConversationsChanged(), ts=5, id="a"))) == {
        "type": "server.messenger.conversations_changed",
        "data": {},
        "ts": 5,
        "id": "a",
    }


def test_a_client_event_is_snake_case_in_python() -> None:
    event = decode(message(id="a"), MESSENGER)

    assert event == Envelope("client.messenger.typing", Typing("c1", "alice", True), 1, "a")
    assert event.correlation_id == "a"


def test_unknown_fields_are_ignored() -> None:
    assert decode(message(data={**TYPING, "new": 1}, new=1), MESSENGER).data == Typing("c1", "alice", True)


MALFORMED = {
    "empty": "",
    "no JSON": "{",
    "an array": "[]",
    "null": "null",
    "NaN": message(ts=float("nan")),
    "a number out of range": message().replace('"ts": 1', '"ts": 1e999'),
    "a byte order mark": "\ufeff" + message(),
    "deep nesting": "[" * 30_000,
    "deep nesting in data": message().replace("true", "[" * 30_000 + "]" * 30_000),
    "an integer of 5,000 digits": message().replace('"ts": 1', '"ts": ' + "1" * 5000),
    "a lone surrogate": message().replace("c1", "\\ud800"),
    "no type": '{"data": {}, "ts": 1}',
    "a type that is no string": message(type=1),
    "no ts": '{"type": "client.messenger.typing", "data": {}}',
    "ts as text": message(ts="1"),
    "an id that is no string": message(id=1),
    "a null id": message(id=None),
    "data that is no object": message(data=[]),
    "a missing field": message(data={"conversationId": "c1", "userId": "alice"}),
    "a field of another type": message(data={**TYPING, "isTyping": "yes"}),
    "a server's event": message(type="server.messenger.message_new", data={}),
    "an unknown server's event": message(type="server.a.b", data={}),
    "an internal event": message(type="server.system.internal_disconnect", data={}),
    "an unknown event without an object": message(type="client.a.b", data=1),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_message_that_is_not_a_clients_event_is_malformed(text: str) -> None:
    with pytest.raises(MalformedEvent, match=r"^malformed event"):
        decode(text, MESSENGER)


def test_an_unknown_client_event_is_unknown_and_keeps_its_id() -> None:
    with pytest.raises(UnknownEvent, match=r"no handler for 'client\.a\.b'") as caught:
        decode(message(type="client.a.b", data={}, id="a"), MESSENGER)

    assert caught.value.correlation_id == "a"


@pytest.mark.parametrize(
    "event",
    [
        Envelope.of(MessageNew("c", "m", 1, "t")),  # type: ignore[arg-type]
        Envelope.of(PresenceUpdate("alice", "busy")),  # type: ignore[arg-type]
        Envelope.of(MessageNew("c", "m", "\ud800", "t")),
        Envelope.of(MessageNew("c", "m", object(), "t")),  # type: ignore[arg-type]
    ],
)
def test_an_event_that_does_not_fit_its_types_is_refused_before_it_leaves(event: Any) -> None:
    with pytest.raises(ContractError, match="does not fit"):
        encode(event)
