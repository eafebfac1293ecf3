"""What a payload looks like on the wire: a handful of frozen classes, named types apart from the places that use them.

The exports speak of shapes, not of msgspec's types. Whatever JSON cannot tell apart (a list from a tuple, a date from a
string) is one shape here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | None


@dataclass(frozen=True)
class Text:
    """A string. ``format`` names its JSON Schema format where it has one (``date-time``, ``uuid``)."""

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class KnownText:
    """A string of which these values are known; another value is answered, not refused as malformed."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Number:
    """A finite number within its bounds."""

    integer: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None


@dataclass(frozen=True)
class Boolean:
    """``true`` or ``false``."""


@dataclass(frozen=True)
class Null:
    """``null``."""


@dataclass(frozen=True)
class Anything:
    """Any JSON value."""


@dataclass(frozen=True)
class OneOf:
    """One of these values, in the order in which Python declares them."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Items:
    """An array of one shape, of any length within its bounds."""

    item: Shape
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Sequence:
    """An array of fixed length, a shape for each place."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Table:
    """An object with any number of keys within its bounds, and values of one shape."""

    key: Text
    value: Shape
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Union:
    """One of several shapes."""

    options: tuple[Shape, ...]


@dataclass(frozen=True)
class Reference:
    """A named shape, defined elsewhere."""

    name: str


@dataclass(frozen=True)
class Field:
    """One field of an object, by its name on the wire."""

    name: str
    shape: Shape
    required: bool
    doc: str = ""
    example: Any = None


@dataclass(frozen=True)
class Object:
    """An object with these fields; unknown ones are ignored unless it is ``closed``."""

    fields: tuple[Field, ...]
    closed: bool = False


Shape: TypeAlias = (
    Text
    | KnownText
    | Number
    | Boolean
    | Null
    | Anything
    | OneOf
    | Items
    | Sequence
    | Table
    | Union
    | Reference
    | Object
)


@dataclass(frozen=True)
class Definition:
    """A named shape and its docstring."""

    shape: Shape
    doc: str
