"""Shape -> an example document, the same one every time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from hubbub.contract.payload_shapes import Shapes
from hubbub.contract.registry import EventSpec
from hubbub.contract.shapes import (
    Anything,
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
    Table,
    Text,
    Union,
)

#: 2026-01-01T12:00:00Z in milliseconds.
_TS: Final = 1_767_268_800_000

_BY_FORMAT: Final[Mapping[str, str]] = {
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "duration": "PT5M",
    "uuid": "6f9619ff-8b86-4d01-b42d-00c04fc964ff",
    "decimal": "9.90",
    "base64": "SHViYnVi",
}


def example(spec: EventSpec, shapes: Shapes) -> dict[str, Any]:
    """Gives an event's whole envelope, every optional field of its payload included.

    A field's own example is that of ``Meta(examples=[...])``; without one it is made from the field's name and type.
    """
    return {"type": spec.name, "data": _value(shapes[spec.name], "data", shapes, ()), "ts": _TS}


def _value(shape: Shape, name: str, shapes: Shapes, above: tuple[str, ...]) -> Any:  # noqa: C901 - one flat table
    match shape:
        case Text():
            return _text(shape, name)
        case KnownText(values) | OneOf(values):
            return values[0] if values else name
        case Number():
            return _number(shape)
        case Boolean():
            return True
        case Null() | Anything():
            return None
        case Items(item, minimum):
            empty = isinstance(item, Reference) and item.name in above and not minimum
            return [] if empty else [_value(item, name, shapes, above) for _ in range(minimum or 1)]
        case Sequence(items):
            return [_value(item, name, shapes, above) for item in items]
        case Table(value):
            return {"key": _value(value, name, shapes, above)}
        case Union(options):
            return _value(options[0], name, shapes, above)
        case Reference(target):
            return _value(shapes.definitions[target].shape, name, shapes, (*above, target))
        case Object(fields):
            return {field.name: _field(field, name, shapes, above) for field in fields if _ends(field, above)}


def _ends(field: Field, above: tuple[str, ...]) -> bool:
    """Leaves out an optional field that would repeat a type inside itself for ever."""
    return field.required or not (isinstance(field.shape, Reference) and field.shape.name in above)


def _field(field: Field, owner: str, shapes: Shapes, above: tuple[str, ...]) -> Any:
    if field.example is not None:
        return field.example
    name = f"{owner}Id" if field.name == "id" else field.name
    return _value(field.shape, name, shapes, above)


def _text(shape: Text, name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower().split(" ")
    if shape.format is not None:
        text = _BY_FORMAT[shape.format]
    elif words[-1] == "id" and len(words) > 1:
        text = f"{words[-2].removesuffix('s')}-1"
    elif words[-1] == "at" and len(words) > 1:
        text = _BY_FORMAT["date-time"]
    else:
        text = " ".join(words)
    return text.ljust(shape.min_length or 0, ".")[: shape.max_length]


def _number(shape: Number) -> int | float:
    """Gives 1, or what is nearest to it within the bounds."""
    low = shape.ge if shape.ge is not None else shape.gt + 1 if shape.gt is not None else -math.inf
    high = shape.le if shape.le is not None else shape.lt - 1 if shape.lt is not None else math.inf
    value = min(max(1, low), high)
    if shape.multiple_of is not None:
        value = math.ceil(value / shape.multiple_of) * shape.multiple_of
    return int(value) if shape.integer else value
