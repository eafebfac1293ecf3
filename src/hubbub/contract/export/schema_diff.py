"""Where two JSON Schemas differ, and which of the two refuses what the other accepts.

It knows the keywords that `json_schema` writes. If it cannot tell, it takes each schema to refuse documents of the
other: it errs on the side of "breaks".
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hubbub.errors import ContractError

Keywords: TypeAlias = dict[str, Any]

# Keyword -> whether one bound implies another: what is at least 3 is at least 2.
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
# Keywords that do not restrict what is accepted, and those that are compared by a rule of their own.
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

    Attributes:
        path: The place, such as `data.topics[].kind`.
        text: What differs there.
        new_refuses_old: Whether the new schema refuses some document of the old one.
        old_refuses_new: Whether the old schema refuses some document of the new one.
        removed: Whether a field is gone. Old clients may rely on it, whatever the schemas accept.
    """

    path: str
    text: str
    new_refuses_old: bool = False
    old_refuses_new: bool = False
    removed: bool = False


class Definitions:
    """The `$defs` of one schema document."""

    def __init__(self, document: Keywords) -> None:
        self._defs: Mapping[str, Keywords] = document.get("$defs", {})

    def resolve(self, keywords: Keywords) -> Keywords:
        """Return the keywords of a schema after following `$ref`.

        Raises:
            ContractError: A `$ref` leads nowhere.
        """
        for _ in range(len(self._defs) + 1):
            if "$ref" not in keywords:
                return keywords
            keywords = self._defs.get(keywords["$ref"].removeprefix("#/$defs/"), {"$ref": "#/$defs/?"})
        raise ContractError("the schema has a $ref that leads nowhere; export it again")


@dataclass(frozen=True)
class Schema:
    """A schema, with the definitions of its document."""

    keywords: Keywords
    definitions: Definitions

    def resolved(self) -> Schema:
        """Return the schema after following `$ref`."""
        return Schema(self.definitions.resolve(self.keywords), self.definitions)

    def part(self, part: Any) -> Schema:
        """Return a schema inside this one. `True` and a missing one (None) accept everything, `False` nothing."""
        return Schema({"anyOf": []} if part is False else part if isinstance(part, dict) else {}, self.definitions)

    def alternatives(self) -> Iterator[Schema]:
        """Yield the schemas of which a document must fit one, with `anyOf`, `oneOf` and `enum` taken apart."""
        schema = self.resolved()
        options = schema.keywords.get("anyOf", schema.keywords.get("oneOf"))
        if options is not None:
            for option in options:
                yield from schema.part(option).alternatives()
        elif "enum" in schema.keywords:
            yield from (schema.part({"const": value}) for value in schema.keywords["enum"])
        else:
            yield schema


Above: TypeAlias = tuple[tuple[Keywords, Keywords], ...]
"""The pairs of schemas that are being compared, outermost first. Schemas are the same if they are one object."""


def differences(old: Schema, new: Schema, path: str = "") -> Iterator[Difference]:
    """Yield the places where two schemas differ. A type that contains itself is compared once."""
    return _compare(old, new, path, ())


def accepts(wide: Schema, narrow: Schema, above: Above = ()) -> bool:
    """Return whether every document that fits `narrow` fits `wide`; False also if it cannot tell."""
    wide, narrow = wide.resolved(), narrow.resolved()
    if _is_among(wide, narrow, above):
        return True
    above = (*above, (wide.keywords, narrow.keywords))
    choices = [*wide.alternatives()]
    return all(any(_accepts_one(choice, each, above) for choice in choices) for each in narrow.alternatives())


def describe(schema: Schema) -> str:
    """Return a schema in a few words; an object that has a name, by its name."""
    keywords = schema.resolved().keywords
    options = keywords.get("anyOf", keywords.get("oneOf"))
    if options is not None:
        return " | ".join(describe(schema.part(option)) for option in options)
    if "enum" in keywords:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in keywords["enum"])
    bounds = ", ".join(f"{keyword} {value}" for keyword, value in keywords.items() if keyword not in _OTHER_KEYWORDS)
    kind = str(keywords.get("type", "anything"))
    if "properties" in keywords:
        kind = str(schema.keywords.get("$ref", kind).rpartition("/")[2])
    elif isinstance(keywords.get("additionalProperties"), dict):
        kind = f"table of {describe(schema.part(keywords['additionalProperties']))}"
    elif isinstance(keywords.get("items"), dict):
        kind = f"array of {describe(schema.part(keywords['items']))}"
    return f"{kind} ({bounds})" if bounds else kind


def _is_among(old: Schema, new: Schema, above: Above) -> bool:
    return any(one is old.keywords and other is new.keywords for one, other in above)


def _compare(old: Schema, new: Schema, path: str, above: Above) -> Iterator[Difference]:
    before, after = old.resolved(), new.resolved()
    if _is_among(before, after, above):
        return
    above = (*above, (before.keywords, after.keywords))
    only_before, only_after = [*before.alternatives()], [*after.alternatives()]
    for one, other in _pairs(only_before, only_after):
        only_before.remove(one)
        only_after.remove(other)
        yield from _compare_pair(one, other, path, above)
    gone, added = before.part(_any_of(only_before)), after.part(_any_of(only_after))
    yield from _type_change(old, new, path, not accepts(added, gone), not accepts(gone, added))


def _pairs(old: list[Schema], new: list[Schema]) -> list[tuple[Schema, Schema]]:
    """Return pairs of objects, tables and arrays of two unions: of one form, and if there are several, of one tag."""
    tagged = any(sum("properties" in schema.keywords for schema in schemas) > 1 for schemas in (old, new))
    forms = {form: schema for schema in old if (form := _form(schema.keywords, tagged))}
    return [(forms[form], schema) for schema in new if (form := _form(schema.keywords, tagged)) in forms]


def _form(keywords: Keywords, tagged: bool) -> str:
    """Return a name for the form of an object, a table or an array, whatever is in it; "" for any other schema."""
    if "properties" in keywords:
        return f"object {[*keywords['properties'].items()][:1]}" if tagged else "object"
    if isinstance(keywords.get("additionalProperties"), dict):
        return "table"
    if isinstance(keywords.get("items"), dict) and "prefixItems" not in keywords:
        return "array"
    return f"array of {len(keywords['prefixItems'])}" if "prefixItems" in keywords else ""


def _any_of(schemas: list[Schema]) -> Keywords:
    return {"anyOf": [schema.keywords for schema in schemas]}


def _compare_pair(old: Schema, new: Schema, path: str, above: Above) -> Iterator[Difference]:
    """Compare two schemas of one form, part by part."""
    if "properties" in old.keywords:
        yield from _compare_fields(old, new, path, above)
        yield from _compare_unknown_fields(old.keywords, new.keywords, path)
    else:
        for place, one, other in _parts(old.keywords, new.keywords):
            yield from _compare(old.part(one), new.part(other), f"{path}{place}", above)
    refused = not _bounds_imply(new.keywords, old.keywords), not _bounds_imply(old.keywords, new.keywords)
    yield from _type_change(old, new, path, *refused)


def _parts(old: Keywords, new: Keywords) -> Iterator[tuple[str, Keywords, Keywords]]:
    if "prefixItems" in old:
        for place, (one, other) in enumerate(zip(old["prefixItems"], new["prefixItems"], strict=True)):
            yield f"[{place}]", one, other
    elif "items" in old:
        yield "[]", old["items"], new["items"]
    else:
        yield "{}", old["additionalProperties"], new["additionalProperties"]


def _type_change(
    old: Schema, new: Schema, path: str, new_refuses_old: bool, old_refuses_new: bool
) -> Iterator[Difference]:
    if new_refuses_old or old_refuses_new:
        verb = "changed" if new_refuses_old and old_refuses_new else "narrowed" if new_refuses_old else "widened"
        text = f"type {verb}: {describe(old)} became {describe(new)}"
        yield Difference(path, text, new_refuses_old, old_refuses_new)


def _compare_fields(old: Schema, new: Schema, path: str, above: Above) -> Iterator[Difference]:
    before, after = old.keywords["properties"], new.keywords["properties"]
    for name in {**before, **after}:
        place = f"{path}.{name}" if path else name
        was_required, is_required = name in old.keywords.get("required", ()), name in new.keywords.get("required", ())
        if name not in after:
            closed = new.keywords.get("additionalProperties") is False
            yield Difference(place, "field removed", closed, was_required, removed=True)
        elif name not in before:
            closed = old.keywords.get("additionalProperties") is False
            yield Difference(place, f"{'required' if is_required else 'optional'} field added", is_required, closed)
        else:
            if was_required != is_required:
                text = "field became required" if is_required else "field became optional"
                yield Difference(place, text, new_refuses_old=is_required, old_refuses_new=was_required)
            yield from _compare(old.part(before[name]), new.part(after[name]), place, above)


def _compare_unknown_fields(old: Keywords, new: Keywords, path: str) -> Iterator[Difference]:
    was_closed, is_closed = (keywords.get("additionalProperties") is False for keywords in (old, new))
    if was_closed != is_closed:
        text = f"unknown fields are {'refused' if is_closed else 'ignored'} now"
        yield Difference(path, text, new_refuses_old=is_closed, old_refuses_new=was_closed)


def _accepts_one(wide: Schema, narrow: Schema, above: Above) -> bool:
    wide_type, narrow_type = wide.keywords.get("type"), narrow.keywords.get("type")
    if "const" in wide.keywords:
        return "const" in narrow.keywords and _is_same(wide.keywords["const"], narrow.keywords["const"])
    if wide_type is None:
        return _bounds_imply(wide.keywords, narrow.keywords)
    if "const" in narrow.keywords:
        return wide_type in _types_of(narrow.keywords["const"]) and _bounds_imply(wide.keywords, {})
    if narrow_type != wide_type and (wide_type, narrow_type) != ("number", "integer"):
        return False
    if not _bounds_imply(wide.keywords, narrow.keywords):
        return False
    if wide_type == "array":
        return _accepts_array(wide, narrow, above)
    return wide_type != "object" or _accepts_object(wide, narrow, above)


def _accepts_array(wide: Schema, narrow: Schema, above: Above) -> bool:
    places, given = wide.keywords.get("prefixItems", ()), narrow.keywords.get("prefixItems", ())
    if len(places) > len(given):
        return False
    rest = wide.part(wide.keywords.get("items"))
    pairs = [(wide.part(places[i]) if i < len(places) else rest, narrow.part(each)) for i, each in enumerate(given)]
    pairs.append((rest, narrow.part(narrow.keywords.get("items"))))
    return all(accepts(one, other, above) for one, other in pairs)


def _accepts_object(wide: Schema, narrow: Schema, above: Above) -> bool:
    fields, given = wide.keywords.get("properties", {}), narrow.keywords.get("properties", {})
    if not set(wide.keywords.get("required", ())) <= set(narrow.keywords.get("required", ())):
        return False
    rest, others = wide.keywords.get("additionalProperties", True), narrow.keywords.get("additionalProperties", True)
    if rest is False and others is not False:
        return False
    if isinstance(rest, dict) and not given and not accepts(wide.part(rest), narrow.part(others), above):
        return False
    return all(accepts(wide.part(fields.get(name, rest)), narrow.part(each), above) for name, each in given.items())


def _bounds_imply(wide: Keywords, narrow: Keywords) -> bool:
    """Return whether the bounds in `narrow` imply all of those in `wide`."""
    for keyword, bound in wide.items():
        if keyword in _OTHER_KEYWORDS or keyword.startswith("x-"):
            continue
        implies: Callable[[Any, Any], bool] = _BOUNDS.get(keyword, operator.eq)
        if keyword not in narrow or not implies(narrow[keyword], bound):
            return False
    return True


def _is_same(one: Any, other: Any) -> bool:
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
