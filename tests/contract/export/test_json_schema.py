"""The JSON Schema document: valid, complete, and as strict as the decoder."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import Meta

from hubbub import Contract, ContractError, Envelope, Payload, ServerEvent, Topic, event
from hubbub.contract.export.json_schema import json_schema, schema_document
from tests.contract.documents import documents
from tests.contract.kinds import (
    BUILT_IN,
    KINDS,
    MESSENGER,
    WITH_KINDS,
    Circle,
    Colour,
    Everything,
    Square,
    payload_named,
)

TYPING: dict[str, Any] = {"conversationId": "c1", "userId": "alice", "isTyping": True}
EVERYTHING_VALIDATOR = jsonschema_rs.validator_for(
    schema_document(WITH_KINDS) | {"anyOf": [{"$ref": "#/$defs/client.kinds.everything"}]}
)
VALIDATOR = jsonschema_rs.validator_for(schema_document(MESSENGER))


@pytest.mark.parametrize("contract", [MESSENGER, WITH_KINDS], ids=["messenger", "kinds"])
def test_the_document_is_valid_json_schema(contract: Contract) -> None:
    jsonschema_rs.meta.validate(json.loads(json_schema(contract)))


def test_it_holds_the_events_of_the_contract_and_no_others() -> None:
    events = {name for name, schema in schema_document(MESSENGER)["$defs"].items() if "x-hubbub-direction" in schema}

    assert events == set(MESSENGER)


def test_direction_and_audience_use_the_names_on_the_wire() -> None:
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


@pytest.mark.parametrize(
    "hint",
    [
        str,
        Annotated[str, Meta(min_length=1, max_length=9, pattern="^a")],
        Annotated[str, Meta(title="A", description="B", examples=["c"], extra_json_schema={"format": "email"})],
        Annotated[int, Meta(ge=1, lt=9, multiple_of=2)],
        Annotated[float, Meta(gt=0.5, le=1)],
        int | float,
        bool,
        None,
        Any,
        bytes,
        Annotated[bytes, Meta(min_length=4, max_length=10)],
        datetime,
        Annotated[datetime, Meta(tz=True)],
        time,
        Annotated[time, Meta(tz=True)],
        Annotated[time, Meta(tz=False)],
        date,
        timedelta,
        UUID,
        Decimal,
        Literal["b", "a", None, 2, 1],
        Annotated[Literal["b", "a"], Meta(description="C")],
        Colour,
        Annotated[Colour, Meta(description="D")],
        Topic,
        Circle | Square,
        int | Circle | None,
        list[Annotated[Circle, Meta(description="E")]],
        Annotated[list[Annotated[str, Meta(description="F")]], Meta(min_length=1, max_length=2)],
        list[Any],
        set[int],
        tuple[()],
        tuple[int, str],
        dict[str, Any],
        Annotated[dict[Annotated[str, Meta(max_length=3)], int], Meta(min_length=1, max_length=2)],
    ],
    ids=str,
)
def test_a_field_has_the_schema_that_msgspec_writes_for_its_type(hint: Any) -> None:
    payload = event("server.odd.one")(payload_named("Odd", ServerEvent, [("field", hint)]))
    _, components = msgspec.json.schema_components([payload])
    expected = components["Odd"]
    expected["properties"]["field"].pop("discriminator", None)  # a keyword of OpenAPI, not of JSON Schema

    defs = schema_document(Contract([payload]))["$defs"]

    assert defs["Odd"] == expected
    assert components.keys() <= defs.keys()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=documents(WITH_KINDS, lambda spec: spec.payload is Everything))
def test_it_accepts_the_payloads_that_the_decoder_accepts(document: Any) -> None:
    text = json.dumps(document)
    try:
        msgspec.json.decode(text, type=Envelope[Everything])
        is_accepted = isinstance(document, dict) and document["type"] == "client.kinds.everything"
    except msgspec.MsgspecError:
        is_accepted = False

    assert EVERYTHING_VALIDATOR.is_valid(document) == is_accepted


def test_docstrings_are_descriptions_and_an_event_without_one_has_none() -> None:
    defs = schema_document(WITH_KINDS)["$defs"]

    assert "`server.system.subscribed`" in defs["Subscribe"]["description"]
    assert defs["Everything"]["description"].split("\n")[1:2] == [""]
    assert defs["server.kinds.undocumented"]["description"] == ""


def test_a_type_with_the_name_of_a_union_in_the_document_is_refused() -> None:
    nested = payload_named("client", Payload, [("a", str)])
    payload = event("server.odd.one")(payload_named("Odd", ServerEvent, [("nested", nested)]))

    with pytest.raises(ContractError, match="called client, which means something else in the schema; rename it"):
        json_schema(Contract([payload]))


def test_a_type_without_a_schema_is_refused() -> None:
    payload = event("server.odd.one")(payload_named("Odd", ServerEvent, [("value", complex)]))

    with pytest.raises(ContractError, match=r"<class .complex.> cannot be part of a contract; use str"):
        json_schema(Contract([payload]))


def test_the_order_of_registration_makes_no_difference() -> None:
    assert json_schema(Contract(reversed((*BUILT_IN, *KINDS)))) == json_schema(WITH_KINDS)
