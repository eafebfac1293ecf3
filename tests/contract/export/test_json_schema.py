"""The JSON Schema document: valid, complete, and as strict as the decoder."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from hubbub import Contract, ContractError, Payload, ServerEvent, event
from hubbub.contract.export.json_schema import json_schema, schema_document
from tests.contract.kinds import BUILT_IN, KINDS, MESSENGER, WITH_KINDS, payload_named

TYPING: dict[str, Any] = {"conversationId": "c1", "userId": "alice", "isTyping": True}
VALIDATOR = jsonschema_rs.validator_for(schema_document(MESSENGER))


@pytest.mark.parametrize("contract", [MESSENGER, WITH_KINDS], ids=["messenger", "kinds"])
def test_the_document_is_valid_json_schema(contract: Contract) -> None:
    jsonschema_rs.meta.validate(json.loads(json_schema(contract)))


def test_it_holds_the_events_of_the_contract_and_no_others() -> None:
    events = {name for name, schema in schema_document(MESSENGER)["$defs"].items() if "x-hubbub-direction" in schema}

    assert events == set(MESSENGER)


def test_it_says_direction_and_audience_in_the_names_of_the_wire() -> None:
    defs = schema_document(MESSENGER)["$defs"]

    assert defs["client.messenger.typing"]["x-hubbub-direction"] == "both"
    assert defs["server.messenger.message_new"]["x-hubbub-audience"] == {
        "topics": {"conversation": "conversationId"},
        "users": ["senderId"],
        "addressed": False,
    }
    assert "x-hubbub-audience" not in defs["server.system.internal_disconnect"]


@pytest.mark.parametrize(
    ("message", "is_valid"),
    [
        ({"type": "client.messenger.typing", "data": TYPING, "ts": 1}, True),
        ({"type": "client.messenger.typing", "data": {**TYPING, "new": 1}, "ts": 1, "id": "a", "new": 1}, True),
        ({"type": "client.messenger.typing", "data": {**TYPING, "isTyping": 1}, "ts": 1}, False),
        ({"type": "client.messenger.typing", "data": TYPING}, False),
        ({"type": "server.system.error", "data": {"message": "m", "code": None}, "ts": 1}, False),
        ({"type": "server.messenger.nothing", "data": {}, "ts": 1}, False),
        (
            {
                "type": "server.system.internal_disconnect",
                "data": {"userId": "a", "socketId": "b", "reason": "client_close"},
                "ts": 1,
            },
            False,
        ),
    ],
    ids=str,
)
def test_it_accepts_events_and_nothing_else(message: Any, is_valid: bool) -> None:
    assert VALIDATOR.is_valid(message) == is_valid


def test_docstrings_are_descriptions_and_an_event_without_one_has_none() -> None:
    defs = schema_document(WITH_KINDS)["$defs"]

    assert "`server.system.subscribed`" in defs["Subscribe"]["description"]
    assert defs["Everything"]["description"].split("\n")[1:2] == [""]
    assert defs["server.kinds.undocumented"]["description"] == ""


def test_a_type_called_like_a_union_of_the_document_is_refused() -> None:
    nested = payload_named("client", Payload, [("a", str)])
    payload = event("server.odd.one")(payload_named("Odd", ServerEvent, [("nested", nested)]))

    with pytest.raises(ContractError, match="called client, which means something else in the schema; rename it"):
        json_schema(Contract([payload]))


def test_a_type_without_a_schema_is_refused() -> None:
    payload = event("server.odd.one")(payload_named("Odd", ServerEvent, [("value", complex)]))

    with pytest.raises(ContractError, match=r"no JSON Schema: type <class .complex.> is not supported"):
        json_schema(Contract([payload]))


def test_the_order_of_registration_does_not_show() -> None:
    assert json_schema(Contract(reversed((*BUILT_IN, *KINDS)))) == json_schema(WITH_KINDS)
