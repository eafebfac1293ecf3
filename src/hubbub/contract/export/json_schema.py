"""Contract -> JSON Schema: every event as an envelope, with the direction and audience that `check` compares."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, Final

from msgspec import UNSET

from hubbub.close_codes import CLOSE_CODES as _CLOSE_CODES
from hubbub.contract.export.descriptions import CLIENT_ID, SERVER_ID, TS, audience, markdown
from hubbub.contract.export.shapes import (
    Anything,
    Binary,
    Boolean,
    Definition,
    Field,
    Items,
    KnownText,
    Null,
    Number,
    Object,
    OneOf,
    Reference,
    Sequence,
    Shape,
    Shapes,
    Table,
    Text,
    Union,
)
from hubbub.contract.export.walk import in_order, qualified_name, type_name, walk
from hubbub.contract.registry import Contract, Direction, EventSpec
from hubbub.errors import ContractError

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DIRECTION: Final = "x-hubbub-direction"
AUDIENCE: Final = "x-hubbub-audience"
CLOSE_CODES: Final = "x-hubbub-close-codes"


def json_schema(contract: Contract) -> str:
    """Return the contract as one JSON Schema document (2020-12). A message is valid if it is one of the events.

    Raises:
        ContractError: A type has no JSON, or two types have one name.
    """
    return as_text(schema_document(contract))


def schema_document(contract: Contract) -> dict[str, Any]:
    """Return the JSON Schema document as data.

    `$defs` holds an envelope for each event under the event's name, the payloads under their class names, and the two
    unions `client` and `server`. An `internal` event is defined, and in neither union.
    """
    events = in_order(contract)
    writer = SchemaWriter(contract, walk(contract), "#/$defs/{name}")
    envelopes = {
        spec.name: envelope_schema(spec, writer.payload(spec))
        | {DIRECTION: spec.direction.value}
        | ({} if spec.direction is Direction.INTERNAL else {AUDIENCE: audience(spec)})
        for spec in events
    }
    client = [spec.name for spec in events if spec.from_client]
    server = [spec.name for spec in events if spec.to_client]
    unions = {"client": _one_of(client), "server": _one_of(server)}
    components = writer.components()
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
    """Return every close code as data: `{code: {reason, reconnect}}`."""
    return {
        str(close.code): {"reason": close.reason, "reconnect": close.reconnect.value} for close in _CLOSE_CODES.values()
    }


def envelope_schema(spec: EventSpec, payload: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one event: `{type, data, ts, id?}`."""
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
    """Return a document as indented JSON with a final newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class SchemaWriter:
    """Writes the schemas of shapes, and collects a component for each class that they refer to.

    Args:
        contract: Its payloads are components, too.
        shapes: The shapes of the contract.
        reference: How a schema refers to a component, such as `#/$defs/{name}`.
    """

    def __init__(self, contract: Contract, shapes: Shapes, reference: str) -> None:
        self._payloads = {
            spec.name: Definition(shapes.payloads[spec.name], spec.doc, spec.payload) for spec in contract.values()
        }
        self._definitions = shapes.definitions
        self._reference = reference
        definitions = [*self._payloads.values(), *shapes.definitions.values()]
        self._names = _component_names({each.cls for each in definitions if each.cls is not None})
        self._components: dict[str, dict[str, Any]] = {}

    def components(self) -> dict[str, dict[str, Any]]:
        """Return the schema of each class that was referred to, by name."""
        return {name: self._components[name] for name in sorted(self._components)}

    def payload(self, spec: EventSpec) -> dict[str, Any]:
        """Return the schema of an event's payload: a reference to its component."""
        return self._refer(self._payloads[spec.name])

    def _schema(self, shape: Shape) -> dict[str, Any]:
        schema = dict(shape.keywords)
        if isinstance(schema.get("description"), str):
            schema["description"] = markdown(inspect.cleandoc(schema["description"]))
        return schema | self._keywords(shape)

    def _keywords(self, shape: Shape) -> dict[str, Any]:  # noqa: C901 - one flat table
        """Return the keywords that say what a shape accepts."""
        match shape:
            case Text(minimum, maximum, pattern, text_format):
                return _given(type="string", format=text_format, maxLength=maximum, minLength=minimum, pattern=pattern)
            case Binary(minimum, maximum):
                lengths = {"maxLength": _base64_length(maximum), "minLength": _base64_length(minimum)}
                return _given(type="string", contentEncoding="base64", **lengths)
            case KnownText():
                return {"type": "string"}
            case Number():
                bounds = {
                    "minimum": shape.ge,
                    "exclusiveMinimum": shape.gt,
                    "maximum": shape.le,
                    "exclusiveMaximum": shape.lt,
                    "multipleOf": shape.multiple_of,
                }
                return _given(type="integer" if shape.integer else "number", **bounds)
            case Boolean():
                return {"type": "boolean"}
            case Null():
                return {"type": "null"}
            case Anything():
                return {}
            case OneOf(values):
                return {"enum": sorted(values, key=_type_and_value)}
            case Union(options):
                return {"anyOf": [self._schema(option) for option in options]}
            case Reference(name):
                return self._refer(self._definitions[name])
            case _:
                return self._container(shape)

    def _container(self, shape: Items | Sequence | Table | Object) -> dict[str, Any]:
        match shape:
            case Items(item, minimum, maximum, unique):
                bounds = {"maxItems": maximum, "minItems": minimum, "uniqueItems": unique or None}
                return _given(type="array", items=self._schema(item) or None, **bounds)
            case Sequence(items):
                schema: dict[str, Any] = {"type": "array", "minItems": len(items), "maxItems": len(items)}
                return schema | {"prefixItems": [*map(self._schema, items)], "items": False} if items else schema
            case Table(key, value, minimum, maximum):
                names = self._schema(key)
                del names["type"]  # a key of an object is always a string
                bounds = {"maxProperties": maximum, "minProperties": minimum}
                values = self._schema(value) or None
                return _given(type="object", propertyNames=names or None, additionalProperties=values, **bounds)
            case Object(fields, closed):
                return {
                    "type": "object",
                    "properties": {field.name: self._field(field) for field in fields},
                    "required": [field.name for field in fields if field.required],
                } | ({"additionalProperties": False} if closed else {})

    def _field(self, field: Field) -> dict[str, Any]:
        schema = self._schema(field.shape)
        return schema if field.default is UNSET else schema | {"default": field.default}

    def _refer(self, definition: Definition) -> dict[str, Any]:
        if definition.cls is None:
            return self._schema(definition.shape)
        name = self._names[definition.cls]
        if name not in self._components:
            component = self._components[name] = {"title": type_name(definition.cls)}
            if definition.doc:
                component["description"] = markdown(definition.doc)
            component.update(self._schema(definition.shape))
        return {"$ref": self._reference.format(name=name)}


def _component_names(classes: Collection[Any]) -> dict[Any, str]:
    """Name each class as in every export; those that share a name, with their modules."""
    shared = Counter(map(type_name, classes))
    names: dict[Any, str] = {}
    for cls in classes:
        name = type_name(cls) if shared[type_name(cls)] == 1 else re.sub(r"[^\w.\-]", "_", qualified_name(cls))
        if name in names.values():
            raise ContractError(f"two types of this contract are called {name}; rename one")
        names[cls] = name
    return names


def _given(**keywords: Any) -> dict[str, Any]:
    """Return the keywords that have a value."""
    return {keyword: value for keyword, value in keywords.items() if value is not None}


def _base64_length(length: int | None) -> int | None:
    return None if length is None else 4 * ((length + 2) // 3)


def _type_and_value(value: Any) -> tuple[str, Any]:
    """Order values of one type among themselves: two types cannot be compared."""
    return type(value).__name__, value


def _one_of(names: list[str]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in names]} if names else {"not": {}}
