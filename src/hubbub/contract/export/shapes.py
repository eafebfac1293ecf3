"""What a contract looks like on the wire: a few frozen classes, from which every export is written.

Exports know shapes and nothing of msgspec's types. What JSON does not tell apart (a list and a tuple) is one shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec import UNSET

Scalar: TypeAlias = str | int | None


@dataclass(frozen=True, kw_only=True)
class _Base:
    """What every shape has.

    Attributes:
        keywords: The JSON Schema keywords that `msgspec.Meta` adds to the type: `title`, `description`,
            `examples` and those of `extra_json_schema`. Two shapes that differ only here are equal.
    """

    keywords: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Text(_Base):
    """A string.

    Attributes:
        format: Its JSON Schema format, such as `uuid`, if it has one.
        content: What it holds if it is more than text, named like a format. A `datetime` that needs no timezone holds
            a `date-time` and has no format.
    """

    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    content: str | None = None


@dataclass(frozen=True)
class Binary(_Base):
    """Bytes, as a string in base64. The lengths are those of the bytes."""

    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class KnownText(_Base):
    """A string of which these values are known. The server answers any other value; it does not close the socket."""

    values: tuple[str, ...]


@dataclass(frozen=True)
class Number(_Base):
    """A finite number within its bounds."""

    integer: bool
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None


@dataclass(frozen=True)
class Boolean(_Base):
    """`true` or `false`."""


@dataclass(frozen=True)
class Null(_Base):
    """`null`."""


@dataclass(frozen=True)
class Anything(_Base):
    """Any JSON value."""


@dataclass(frozen=True)
class OneOf(_Base):
    """One of these values, in the order in which Python declares them."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Items(_Base):
    """An array of one shape, of any length within its bounds.

    Attributes:
        unique: Whether no item comes twice.
    """

    item: Shape
    min_length: int | None = None
    max_length: int | None = None
    unique: bool = False


@dataclass(frozen=True)
class Sequence(_Base):
    """An array of fixed length, with a shape for each place."""

    items: tuple[Shape, ...]


@dataclass(frozen=True)
class Table(_Base):
    """An object with any number of keys within its bounds, and values of one shape."""

    key: Text
    value: Shape
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class Union(_Base):
    """One of several shapes."""

    options: tuple[Shape, ...]


@dataclass(frozen=True)
class Reference(_Base):
    """A named shape: see `Shapes.definitions`."""

    name: str


@dataclass(frozen=True)
class Field:
    """One field of an object, by its name on the wire.

    Attributes:
        default: The value that an absent field has, as JSON; `UNSET` if there is none.
    """

    name: str
    shape: Shape
    required: bool
    default: Any = UNSET

    @property
    def doc(self) -> str:
        """Return the field's description."""
        return str(self.shape.keywords.get("description", ""))


@dataclass(frozen=True)
class Object(_Base):
    """An object with these fields. Unknown fields are ignored unless it is `closed`."""

    fields: tuple[Field, ...]
    closed: bool = False


Shape: TypeAlias = (
    Text
    | Binary
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
    """A shape with a name.

    Attributes:
        doc: The docstring of the class.
        cls: The Python class; None for an alias of a type, which JSON Schema writes out wherever it is used.
    """

    shape: Shape
    doc: str = ""
    cls: Any = None


@dataclass(frozen=True)
class Shapes:
    """The shapes of one contract.

    Attributes:
        payloads: The payloads by event name, in the order of `in_order`.
        definitions: The named shapes, each after those that it is made of.
    """

    payloads: Mapping[str, Object]
    definitions: Mapping[str, Definition]


def alternatives(shape: Shape) -> list[Shape]:
    """Return the shapes of which a value has one: for a union its options, for any other shape itself.

    Unions in a union are taken apart and repetitions left out. JSON has one kind of number, so that an `int` beside a
    `float` is left out too.
    """
    if not isinstance(shape, Union):
        return [shape]
    flat: list[Shape] = []
    for option in shape.options:
        flat.extend(each for each in alternatives(option) if each not in flat)
    if Number(integer=False) in flat:
        flat = [each for each in flat if each != Number(integer=True)]
    return flat
