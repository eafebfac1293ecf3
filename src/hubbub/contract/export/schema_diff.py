"""Where two JSON Schemas differ, and which of the two refuses what the other accepts.

It knows the keywords that msgspec writes. Where it cannot tell, each schema is taken to refuse the other's documents:
a comparison that errs on the side of "breaks".
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hubbub.errors import ContractError

Schema: TypeAlias = dict[str, Any]

#: Keyword -> whether a bound implies another one: what is at least 3 is at least 2.
_BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge,
    "exclusiveMinimum": operator.ge,
    "minLength": operator.ge,
    "minItems": operator.ge,
    "minProperties": operator.ge,
    "maximum": operator.le,
    "exclusiveMaximum": operator.le,
    "maxLength": operator.le,
    "maxItems": operator.le,
    "maxProperties": operator.le,
}
#: Keywords that say nothing about what is accepted, or that are compared by their own rule.
_OTHER_KEYWORDS = frozenset(
    (
        *("$ref", "title", "description", "default", "examples"),
        *("type", "const", "enum", "anyOf", "oneOf"),
        *("properties", "required", "additionalProperties", "items", "prefixItems"),
    )
)


@dataclass(frozen=True)
class Difference:
    """One place where two schemas differ.

    path: such as ``data.topics[].kind``.
    new_refuses_old: the new schema refuses some document of the old one.
    old_refuses_new: the reverse.
    removed: a field is gone, and with it what somebody relied on, whatever the schemas accept.
    """

    path: str
    text: str
    new_refuses_old: bool = False
    old_refuses_new: bool = False
    removed: bool = False


class Definitions:
    """The ``$defs`` of one schema document."""

    def __init__(self, document: Schema) -> None:
        self._defs: Mapping[str, Schema] = document.get("$defs", {})

    def resolve(self, schema: Schema) -> Schema:
        """Follows ``$ref``; raises ContractError where it leads nowhere."""
        for _ in range(len(self._defs) + 1):
            if "$ref" not in schema:
                return schema
            schema = self._defs.get(schema["$ref"].removeprefix("#/$defs/"), {"$ref": "#/$defs/?"})
        raise ContractError("the schema has a $ref that leads nowhere; export it again")


@dataclass(frozen=True)
class Side:
    """A schema and the document it stands in."""

    schema: Schema
    definitions: Definitions

    def resolved(self) -> Side:
        """Follows ``$ref``."""
        return Side(self.definitions.resolve(self.schema), self.definitions)

    def part(self, schema: Any) -> Side:
        """Gives a schema inside this one; ``true`` and what is missing accept everything, ``false`` nothing."""
        return Side({"anyOf": []} if schema is False else schema if isinstance(schema, dict) else {}, self.definitions)

    def alternatives(self) -> Iterator[Side]:
        """Gives the schemas of which a document must fit one: ``anyOf``, ``oneOf`` and ``enum`` taken apart."""
        side = self.resolved()
        options = side.schema.get("anyOf", side.schema.get("oneOf"))
        if options is not None:
            for option in options:
                yield from side.part(option).alternatives()
        elif "enum" in side.schema:
            yield from (side.part({"const": value}) for value in side.schema["enum"])
        else:
            yield side


def differences(old: Side, new: Side, path: str = "") -> Iterator[Difference]:
    """Gives the places where two schemas differ; a type that contains itself is compared once."""
    return _walk(old, new, path, ())


#: The pairs of schemas that are being compared, outermost first. They are told apart by identity.
Above: TypeAlias = tuple[tuple[Schema, Schema], ...]


def _is_among(old: Side, new: Side, above: Above) -> bool:
    return any(one is old.schema and other is new.schema for one, other in above)


def _walk(old: Side, new: Side, path: str, above: Above) -> Iterator[Difference]:
    was, now = old.resolved(), new.resolved()
    if _is_among(was, now, above):
        return
    above = (*above, (was.schema, now.schema))
    gone, came = [*was.alternatives()], [*now.alternatives()]
    for one, other in _pairs(gone, came):
        gone.remove(one)
        came.remove(other)
        yield from _inside(one, other, path, above)
    before, after = was.part(_any_of(gone)), now.part(_any_of(came))
    yield from _retyped(old, new, path, not accepts(after, before), not accepts(before, after))


def _pairs(old: list[Side], new: list[Side]) -> list[tuple[Side, Side]]:
    """Pairs the objects, tables and arrays of two unions: alike in form, and where there are several also in tag."""
    tagged = any(sum("properties" in side.schema for side in sides) > 1 for sides in (old, new))
    forms = {form: side for side in old if (form := _form(side, tagged))}
    return [(forms[form], side) for side in new if (form := _form(side, tagged)) in forms]


def _form(side: Side, tagged: bool) -> str:
    """Names the form of an object, a table or an array, whatever is in it; of anything else gives ""."""
    schema = side.schema
    if "properties" in schema:
        return f"object {[*schema['properties'].items()][:1]}" if tagged else "object"
    if isinstance(schema.get("additionalProperties"), dict):
        return "table"
    if isinstance(schema.get("items"), dict) and "prefixItems" not in schema:
        return "array"
    return f"array of {len(schema['prefixItems'])}" if "prefixItems" in schema else ""


def _any_of(sides: list[Side]) -> Schema:
    return {"anyOf": [side.schema for side in sides]}


def _inside(old: Side, new: Side, path: str, above: Above) -> Iterator[Difference]:
    """Compares two schemas of one form, part by part."""
    if "properties" in old.schema:
        yield from _fields(old, new, path, above)
        yield from _closedness(old.schema, new.schema, path)
    else:
        for place, one, other in _parts(old.schema, new.schema):
            yield from _walk(old.part(one), new.part(other), f"{path}{place}", above)
    refused = not _bounds_imply(new.schema, old.schema), not _bounds_imply(old.schema, new.schema)
    yield from _retyped(old, new, path, *refused)


def _parts(old: Schema, new: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    if "prefixItems" in old:
        for place, (one, other) in enumerate(zip(old["prefixItems"], new["prefixItems"], strict=True)):
            yield f"[{place}]", one, other
    elif "items" in old:
        yield "[]", old["items"], new["items"]
    else:
        yield "{}", old["additionalProperties"], new["additionalProperties"]


def _retyped(old: Side, new: Side, path: str, new_refuses_old: bool, old_refuses_new: bool) -> Iterator[Difference]:
    if new_refuses_old or old_refuses_new:
        verb = "changed" if new_refuses_old and old_refuses_new else "narrowed" if new_refuses_old else "widened"
        text = f"type {verb}: {describe(old)} became {describe(new)}"
        yield Difference(path, text, new_refuses_old, old_refuses_new)


def _fields(old: Side, new: Side, path: str, above: Above) -> Iterator[Difference]:
    before, after = old.schema["properties"], new.schema["properties"]
    for name in {**before, **after}:
        place = f"{path}.{name}" if path else name
        was_required, is_required = name in old.schema.get("required", ()), name in new.schema.get("required", ())
        if name not in after:
            closed = new.schema.get("additionalProperties") is False
            yield Difference(place, "field removed", closed, was_required, removed=True)
        elif name not in before:
            closed = old.schema.get("additionalProperties") is False
            yield Difference(place, f"{'required' if is_required else 'optional'} field added", is_required, closed)
        else:
            if was_required != is_required:
                text = "field became required" if is_required else "field became optional"
                yield Difference(place, text, new_refuses_old=is_required, old_refuses_new=was_required)
            yield from _walk(old.part(before[name]), new.part(after[name]), place, above)


def _closedness(old: Schema, new: Schema, path: str) -> Iterator[Difference]:
    was_closed, is_closed = (schema.get("additionalProperties") is False for schema in (old, new))
    if was_closed != is_closed:
        text = f"unknown fields are {'refused' if is_closed else 'ignored'} now"
        yield Difference(path, text, new_refuses_old=is_closed, old_refuses_new=was_closed)


def accepts(wide: Side, narrow: Side, above: Above = ()) -> bool:
    """Tells whether every document that fits ``narrow`` fits ``wide``; False also where it cannot tell."""
    wide, narrow = wide.resolved(), narrow.resolved()
    if _is_among(wide, narrow, above):
        return True
    above = (*above, (wide.schema, narrow.schema))
    choices = [*wide.alternatives()]
    return all(any(_accepts_one(choice, each, above) for choice in choices) for each in narrow.alternatives())


def _accepts_one(wide: Side, narrow: Side, above: Above) -> bool:
    kind, given = wide.schema.get("type"), narrow.schema.get("type")
    if "const" in wide.schema:
        return "const" in narrow.schema and _same(wide.schema["const"], narrow.schema["const"])
    if kind is None:
        return _bounds_imply(wide.schema, narrow.schema)
    if "const" in narrow.schema:
        return kind in _types_of(narrow.schema["const"]) and _bounds_imply(wide.schema, {})
    if given != kind and (kind, given) != ("number", "integer"):
        return False
    if not _bounds_imply(wide.schema, narrow.schema):
        return False
    if kind == "array":
        return _accepts_array(wide, narrow, above)
    return kind != "object" or _accepts_object(wide, narrow, above)


def _accepts_array(wide: Side, narrow: Side, above: Above) -> bool:
    places, given = wide.schema.get("prefixItems", ()), narrow.schema.get("prefixItems", ())
    if len(places) > len(given):
        return False
    rest = wide.part(wide.schema.get("items"))
    pairs = [(wide.part(places[i]) if i < len(places) else rest, narrow.part(each)) for i, each in enumerate(given)]
    pairs.append((rest, narrow.part(narrow.schema.get("items"))))
    return all(accepts(one, other, above) for one, other in pairs)


def _accepts_object(wide: Side, narrow: Side, above: Above) -> bool:
    fields, given = wide.schema.get("properties", {}), narrow.schema.get("properties", {})
    if not set(wide.schema.get("required", ())) <= set(narrow.schema.get("required", ())):
        return False
    rest, others = wide.schema.get("additionalProperties", True), narrow.schema.get("additionalProperties", True)
    if rest is False and others is not False:
        return False
    if isinstance(rest, dict) and not given and not accepts(wide.part(rest), narrow.part(others), above):
        return False
    return all(accepts(wide.part(fields.get(name, rest)), narrow.part(each), above) for name, each in given.items())


def _bounds_imply(wide: Schema, narrow: Schema) -> bool:
    """Tells whether what ``narrow`` says beside its type implies all that ``wide`` says."""
    for keyword, bound in wide.items():
        if keyword in _OTHER_KEYWORDS or keyword.startswith("x-"):
            continue
        implies: Callable[[Any, Any], bool] = _BOUNDS.get(keyword, operator.eq)
        if keyword not in narrow or not implies(narrow[keyword], bound):
            return False
    return True


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _types_of(value: Any) -> tuple[str, ...]:
    names = {
        str: ("string",),
        bool: ("boolean",),
        int: ("integer", "number"),
        float: ("number",),
        type(None): ("null",),
    }
    return names.get(type(value), ())


def describe(side: Side) -> str:
    """Writes a schema in a few words: objects by their name, where they have one."""
    schema = side.resolved().schema
    options = schema.get("anyOf", schema.get("oneOf"))
    if options is not None:
        return " | ".join(describe(side.part(option)) for option in options)
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    bounds = ", ".join(f"{key} {value}" for key, value in schema.items() if key not in _OTHER_KEYWORDS)
    kind = str(schema.get("type", "anything"))
    if "properties" in schema:
        kind = str(side.schema.get("$ref", kind).rpartition("/")[2])
    elif isinstance(schema.get("additionalProperties"), dict):
        kind = f"table of {describe(side.part(schema['additionalProperties']))}"
    elif isinstance(schema.get("items"), dict):
        kind = f"array of {describe(side.part(schema['items']))}"
    return f"{kind} ({bounds})" if bounds else kind
