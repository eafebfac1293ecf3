"""The AsyncAPI document: valid without a diagnostic, and complete for client authors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import jsonschema_rs
import pytest
from msgspec import Meta

from hubbub import CLOSE_CODES, Contract, Payload, ServerEvent, event
from hubbub.contract.events import SYSTEM_EVENTS
from hubbub.contract.export.asyncapi import asyncapi, asyncapi_document
from hubbub.contract.export.json_schema import schema_document
from tests.contract.kinds import BUILT_IN, MESSENGER, WITH_KINDS, payload_named
from tests.contract.programs import asyncapi_diagnostics

URL = "wss://chat.example/ws"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi_document(MESSENGER, title="Messenger", version="1.2.3", url=URL, cookie="hubbub_session")


def test_the_parser_has_no_diagnostic(tmp_path: Path) -> None:
    contracts = {"messenger": MESSENGER, "kinds": WITH_KINDS, "system": Contract(SYSTEM_EVENTS)}
    files = [tmp_path / f"{name}.json" for name in (*contracts, "broken")]
    for file, contract in zip(files, contracts.values(), strict=False):
        file.write_text(asyncapi(contract))
    files[-1].write_text(asyncapi(MESSENGER).replace('"receive"', '"listen"'))

    *valid, broken = asyncapi_diagnostics(*files)

    assert valid == [[], [], []]
    assert broken != []


def test_the_server_receives_client_events_and_sends_server_events(document: dict[str, Any]) -> None:
    operations = document["operations"].values()
    by_action = {
        action: {each["title"] for each in operations if each["action"] == action} for action in ("receive", "send")
    }

    assert by_action["receive"] == {"client.messenger.typing", "client.system.subscribe"}
    assert by_action["send"] == {name for name, spec in MESSENGER.items() if spec.to_client}


def test_an_internal_event_is_not_in_it(document: dict[str, Any]) -> None:
    assert "internal_disconnect" not in json.dumps(document)


def test_it_names_the_server_the_endpoint_and_how_to_sign_in(document: dict[str, Any]) -> None:
    server = document["servers"]["gateway"]

    assert (server["protocol"], server["host"]) == ("wss", "chat.example")
    assert document["channels"]["events"]["address"] == "/ws"
    assert [each["$ref"].rpartition("/")[2] for each in server["security"]] == ["bearer", "cookie"]
    assert document["components"]["securitySchemes"]["cookie"]["name"] == "hubbub_session"


def test_without_a_cookie_only_the_header_signs_in() -> None:
    document = asyncapi_document(MESSENGER, title="", version="", url=URL)

    assert list(document["components"]["securitySchemes"]) == ["bearer"]


def test_every_close_code_is_in_the_document_as_data_and_as_text(document: dict[str, Any]) -> None:
    channel = document["channels"]["events"]

    assert {int(code) for code in channel["x-hubbub-close-codes"]} == set(CLOSE_CODES)
    assert all(f"| {code} | {close.reason} |" in channel["description"] for code, close in CLOSE_CODES.items())


@pytest.mark.parametrize("contract", [MESSENGER, WITH_KINDS], ids=["messenger", "kinds"])
def test_every_message_has_an_example_that_fits_the_schema(contract: Contract) -> None:
    validator = jsonschema_rs.validator_for(schema_document(contract), validate_formats=True)
    messages = asyncapi_document(contract, title="", version="", url=URL)["components"]["messages"].values()

    examples = [example["payload"] for message in messages for example in message["examples"]]

    assert [[] for _ in examples] == [[error.message for error in validator.iter_errors(each)] for each in examples]


def _examples_of(hint: Any) -> list[Any]:
    """Return the examples of a field of this type, in a message of a contract."""
    contract = Contract([event("server.odd.one")(payload_named("Odd", ServerEvent, [("field", hint)]))])
    document = asyncapi_document(contract, title="", version="", url=URL)
    examples = document["components"]["messages"]["server.odd.one"].get("examples", [])
    return [example["payload"]["data"]["field"] for example in examples]


class Expression(Payload, frozen=True, tag=True):
    inner: Expression | Group


class Group(Payload, frozen=True, tag=True):
    note: Note | None


class Note(Payload, frozen=True):
    about: Expression | Group
    seen: dict[str, Note]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Annotated[float, Meta(gt=0, lt=1)], 0.5),
        (Annotated[float, Meta(gt=1)], 2),
        (Annotated[int, Meta(le=-1, multiple_of=2)], -2),
        (Annotated[int, Meta(ge=5, lt=9, multiple_of=4)], 8),
        (Annotated[int, Meta(lt=1)], 0),
        (Annotated[dict[Annotated[str, Meta(max_length=4)], int], Meta(min_length=2)], {"key": 1, "key2": 1}),
        (Expression, {"type": "Expression", "inner": {"type": "Group", "note": None}}),
        (Note, {"about": {"type": "Expression", "inner": {"type": "Group", "note": None}}, "seen": {}}),
        (Annotated[str, Meta(pattern="^fi")], "field"),
    ],
    ids=str,
)
def test_an_example_respects_the_bounds_and_is_finite(hint: Any, expected: Any) -> None:
    assert _examples_of(hint) == [expected]


def test_a_message_for_which_no_example_can_be_made_has_none() -> None:
    assert _examples_of(Annotated[str, Meta(pattern="^[A-Z]{3}$")]) == []


def test_an_example_uses_the_authors_examples() -> None:
    document = asyncapi_document(WITH_KINDS, title="", version="", url=URL)
    (example,) = document["components"]["messages"]["client.kinds.everything"]["examples"]

    assert example["payload"]["data"]["positive"] == 7


def test_the_order_of_registration_makes_no_difference() -> None:
    assert asyncapi(Contract(reversed(BUILT_IN))) == asyncapi(MESSENGER)
