"""Contract -> JSON Schema: every event as an envelope, with the direction and audience that ``check`` compares."""

from __future__ import annotations

import inspect
import json
from typing import Any, Final

import msgspec

from hubbub.close_codes import CLOSE_CODES as _CLOSE_CODES
from hubbub.contract.export.descriptions import CLIENT_ID, SERVER_ID, TS, audience, markdown
from hubbub.contract.export.walk import in_order
from hubbub.contract.registry import Contract, Direction, EventSpec
from hubbub.errors import ContractError

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DIRECTION: Final = "x-hubbub-direction"
AUDIENCE: Final = "x-hubbub-audience"
CLOSE_CODES: Final = "x-hubbub-close-codes"


def json_schema(contract: Contract) -> str:
    """Writes the contract as one JSON Schema document (2020-12): a message is valid where it is one of the events."""
    return as_text(schema_document(contract))


def schema_document(contract: Contract) -> dict[str, Any]:
    """Gives the JSON Schema document.

    ``$defs`` holds an envelope for each event under its name, the payloads under their class names, and the two unions
    ``client`` and ``server``. An ``internal`` event is defined, and in neither union.
    """
    events = in_order(contract)
    payloads, components = payload_schemas(events, "#/$defs/{name}")
    envelopes = {
        spec.name: envelope_schema(spec, payload)
        | {DIRECTION: spec.direction.value}
        | ({} if spec.direction is Direction.INTERNAL else {AUDIENCE: audience(spec)})
        for spec, payload in zip(events, payloads, strict=True)
    }
    client = [spec.name for spec in events if spec.from_client]
    server = [spec.name for spec in events if spec.to_client]
    unions = {"client": _one_of(client), "server": _one_of(server)}
    for name in sorted(unions.keys() & components.keys()):
        raise ContractError(f"a payload type is called {name}, which means something else in the schema; rename it")
    return {
        "$schema": DIALECT,
        "title": "WsEvent",
        "description": "One message on the socket, in either direction.",
        "anyOf": [{"$ref": "#/$defs/client"}, {"$ref": "#/$defs/server"}],
        "$defs": unions | envelopes | components,
        CLOSE_CODES: close_codes(),
    }


def close_codes() -> dict[str, dict[str, str]]:
    """Gives every close code as data: ``{code: {reason, reconnect}}``."""
    return {
        str(close.code): {"reason": close.reason, "reconnect": close.reconnect.value} for close in _CLOSE_CODES.values()
    }


def payload_schemas(events: list[EventSpec], ref: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Gives a schema for each event's payload, and the named schemas they refer to by the template ``ref``."""
    try:
        payloads, components = msgspec.json.schema_components([spec.payload for spec in events], ref_template=ref)
    except TypeError as error:
        raise ContractError(f"a payload type has no JSON Schema: {str(error).splitlines()[-1]}") from None
    return [*payloads], {name: _tidy(components[name]) for name in sorted(components)}


def envelope_schema(spec: EventSpec, payload: dict[str, Any]) -> dict[str, Any]:
    """Gives the schema of one event: ``{type, data, ts, id?}``."""
    id = CLIENT_ID if spec.from_client else SERVER_ID
    return {
        "title": spec.name,
        "description": markdown(spec.doc),
        "type": "object",
        "properties": {
            "type": {"const": spec.name},
            "data": payload,
            "ts": {"type": "number", "description": TS},
            "id": {"type": "string", "description": id},
        },
        "required": ["type", "data", "ts"],
    }


def as_text(document: dict[str, Any]) -> str:
    """Writes a document as indented JSON with a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names]} if names else {"not": {}}


def _tidy(schema: Any) -> Any:
    """Writes descriptions as Markdown, and drops what msgspec borrows from OpenAPI."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value) for key, value in schema.items() if key != "discriminator" or "anyOf" not in schema}
    if isinstance(schema.get("description"), str):
        tidy["description"] = markdown(inspect.cleandoc(schema["description"]))
    return tidy
