"""Shapes -> an example of an event, the same one every time."""

from __future__ import annotations

import contextlib
import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hubbub.contract.export.shapes import (
    Anything,
    Binary,
    Boolean,
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
from hubbub.contract.registry import EventSpec

# 2026-01-01T12:00:00Z in milliseconds.
_TS: Final = 1_767_268_800_000

_BY_CONTENT: Final[Mapping[str, str]] = {
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT5M",
    "uuid": "6f9619ff-8b86-4d01-b42d-00c04fc964ff",
    "decimal": "9.90",
}
_BASE64: Final = "SHViYnVi"


class _NoExample(Exception):
    """A shape has no example: it would contain itself, or must match a pattern."""


def example(spec: EventSpec, shapes: Shapes) -> dict[str, Any] | None:
    """Return an event in its envelope, with every optional field of the payload; None if no example can be made.

    A field's example is the first of its `Meta(examples=[...])`, or else made from the field's name and type.
    """
    try:
        return {"type": spec.name, "data": _value(shapes.payloads[spec.name], "data", shapes, ()), "ts": _TS}
    except _NoExample:
        return None


def _value(shape: Shape, name: str, shapes: Shapes, above: tuple[str, ...]) -> Any:  # noqa: C901 - one flat table
    match shape:
        case Text():
            return _text(shape, name)
        case Binary():
            return _BASE64
        case KnownText(values) | OneOf(values):
            return values[0] if values else name
        case Number():
            return _number(shape)
        case Boolean():
            return True
        case Null() | Anything():
            return None
        case Items(item, minimum):
            return _first([item], name, shapes, above, required=bool(minimum)) * (minimum or 1)
        case Sequence(items):
            return [_value(item, name, shapes, above) for item in items]
        case Table(key, value, minimum):
            keys = ["key", *(f"key{number}" for number in range(2, (minimum or 1) + 1))]
            examples = _first([value], name, shapes, above, required=bool(minimum))
            return {_text(key, each): example for each in keys for example in examples}
        case Union(options):
            return _first(options, name, shapes, above, required=True)[0]
        case Reference(target):
            if target in above:
                raise _NoExample
            return _value(shapes.definitions[target].shape, name, shapes, (*above, target))
        case Object(fields):
            return dict(item for field in fields for item in _field(field, name, shapes, above))


def _first(options: Iterable[Shape], name: str, shapes: Shapes, above: tuple[str, ...], *, required: bool) -> list[Any]:
    """Return a list with an example of the first shape that has one; an empty list if there is none.

    Raises:
        _NoExample: There is none, and one is required.
    """
    for option in options:
        with contextlib.suppress(_NoExample):
            return [_value(option, name, shapes, above)]
    if required:
        raise _NoExample
    return []


def _field(field: Field, owner: str, shapes: Shapes, above: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    """Return a list with a field's name and example; an empty list if an optional field has no example."""
    own, *_ = field.shape.keywords.get("examples") or [None]
    if own is not None:
        return [(field.name, own)]
    name = f"{owner}Id" if field.name == "id" else field.name
    return [(field.name, value) for value in _first([field.shape], name, shapes, above, required=field.required)]


def _text(shape: Text, name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower().split(" ")
    if shape.content is not None:
        text = _BY_CONTENT[shape.content]
    elif words[-1] == "id" and len(words) > 1:
        text = f"{words[-2].removesuffix('s')}-1"
    elif words[-1] == "at" and len(words) > 1:
        text = _BY_CONTENT["date-time"]
    else:
        text = " ".join(words)
    text = text.ljust(shape.min_length or 0, ".")[: shape.max_length]
    if shape.pattern is not None and not re.search(shape.pattern, text):
        raise _NoExample
    return text


def _number(shape: Number) -> int | float:
    """Return 1, or if that is out of bounds, a number near a bound."""
    step = shape.multiple_of or 1
    low = shape.ge if shape.ge is not None else shape.gt
    high = shape.le if shape.le is not None else shape.lt
    above = [] if low is None else [math.ceil(low / step) * step, math.floor(low / step) * step + step]
    below = [] if high is None else [math.floor(high / step) * step, math.ceil(high / step) * step - step]
    between = [] if low is None or high is None or shape.integer else [(low + high) / 2]
    for value in (step, *above, *below, *between):
        if _is_within(shape, value):
            return int(value) if shape.integer else value
    raise _NoExample


def _is_within(shape: Number, value: float) -> bool:
    bounds = ((shape.ge, operator.ge), (shape.gt, operator.gt), (shape.le, operator.le), (shape.lt, operator.lt))
    return all(bound is None or holds(value, bound) for bound, holds in bounds)
