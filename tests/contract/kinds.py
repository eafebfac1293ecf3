"""A contract with every kind of field that a payload may have."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubbub import ClientEvent, Contract, Payload, ServerEvent, event
from hubbub.contract.events import MESSENGER_EVENTS, PRESENCE_EVENTS, SYSTEM_EVENTS

Size = Literal["small", "large"]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Circle(Payload, frozen=True, tag="circle"):
    """A round shape."""

    radius: float


class Square(Payload, frozen=True, tag="square"):
    side_length: float


class Node(Payload, frozen=True):
    """A type that contains itself."""

    label: str
    children: tuple[Node, ...] = ()
    parent: Node | None = None


class Closed(Payload, frozen=True, forbid_unknown_fields=True):
    only: bool
    maybe: bool | UnsetType = UNSET


@event("client.kinds.everything", topics={"kind": "text"})
class Everything(ClientEvent, ServerEvent, frozen=True):
    """Has a field of every kind.

    The second paragraph has a star and a slash, */, and is long enough that it must be wrapped onto a line of its own.
    """

    text: str
    integer: int
    number: float
    either_number: int | float
    flag: bool
    nothing: None
    anything: Any
    size: Size
    mixed: Literal[1, "one", None]
    number_or_text: int | str
    positive: Annotated[int, Meta(ge=1, lt=10, description="From 1 to 9.", examples=[7])]
    even: Annotated[int, Meta(multiple_of=2)]
    short: Annotated[str, Meta(min_length=1, max_length=3)]
    few: Annotated[tuple[str, ...], Meta(max_length=2)]
    pair: tuple[int, str]
    table: dict[str, int]
    names: Annotated[dict[Annotated[str, Meta(min_length=2)], int], Meta(max_length=1)]
    colour: Colour
    shape: Circle | Square
    tree: Node
    closed: Closed
    sizes: tuple[Size, ...]
    counted: int = 1
    nullable: str | None = None
    optional: str | UnsetType = UNSET
    constructor: str | UnsetType = UNSET
    whatever: Any = None


@event("server.kinds.dated", addressed=True)
class Dated(ServerEvent, frozen=True):
    at: Annotated[datetime, Meta(tz=True)]


@event("server.kinds.undocumented", users=["owner_id"])
class Undocumented(ServerEvent, frozen=True):
    owner_id: str


BUILT_IN: Final = (*SYSTEM_EVENTS, *PRESENCE_EVENTS, *MESSENGER_EVENTS)
KINDS: Final = (Everything, Dated, Undocumented)

MESSENGER: Final = Contract(BUILT_IN)
WITH_KINDS: Final = Contract((*BUILT_IN, *KINDS))


def payload_named(name: str, base: type[msgspec.Struct], fields: list[Any]) -> type[Any]:
    """Return a payload class as a contract's author would write it."""
    return msgspec.defstruct(name, fields, bases=(base,), frozen=True)
