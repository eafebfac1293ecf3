"""How an event is declared: its name, payload type, direction and audience, in one place."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import ClassVar, TypeVar

import msgspec

from hubbub.contract.topics import KIND_PATTERN, Topic
from hubbub.errors import ConfigurationError, ContractError

P = TypeVar("P", bound="Payload")

_NAME_PATTERN = re.compile(r"(client|server)(\.[a-z][a-z0-9_]*){2}")


class Payload(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """The base of every `data` on the wire: snake_case in Python, camelCase in JSON.

    An optional field is `field: str | msgspec.UnsetType = msgspec.UNSET`: absent on the wire, never `null`.
    """

    __event__: ClassVar[EventSpec]


class ClientEvent(Payload, frozen=True):
    """The base of the payloads that clients send."""


class ServerEvent(Payload, frozen=True):
    """The base of the payloads that the server sends. A payload with both bases goes both ways."""


class Direction(Enum):
    """Which way an event travels."""

    CLIENT = "client"  # up: from a client to the server
    SERVER = "server"  # down: from the server to clients
    BOTH = "both"  # up, then relayed down under the same name
    INTERNAL = "internal"  # never crosses the wire


class Audience(msgspec.Struct, frozen=True):
    """Who hears an event: payload fields that name topics, payload fields that name users ("self"), or neither.

    Attributes:
        topics: Pairs of topic kind and payload field. The sockets subscribed to that topic hear the event.
        users: Payload fields. Every socket of that user hears the event.
        addressed: Whether the publisher names the users, because the payload does not.
    """

    topics: tuple[tuple[str, str], ...] = ()
    users: tuple[str, ...] = ()
    addressed: bool = False

    def __bool__(self) -> bool:
        return bool(self.topics or self.users or self.addressed)


class EventSpec(msgspec.Struct, frozen=True):
    """Everything the contract says about one event."""

    name: str
    payload: type[Payload]
    direction: Direction
    audience: Audience

    @property
    def from_client(self) -> bool:
        """Return whether a client may send it."""
        return self.direction in (Direction.CLIENT, Direction.BOTH)

    @property
    def to_client(self) -> bool:
        """Return whether the server may send it."""
        return self.direction in (Direction.SERVER, Direction.BOTH)

    @property
    def doc(self) -> str:
        """Return the payload's own docstring, never that of its base."""
        return inspect.cleandoc(self.payload.__doc__ or "")

    def topics_of(self, payload: Payload) -> tuple[Topic, ...]:
        """Return the topics whose subscribers hear this payload."""
        return tuple([Topic(kind, getattr(payload, field)) for kind, field in self.audience.topics])

    def users_of(self, payload: Payload) -> tuple[str, ...]:
        """Return the users for whom this payload is "self"."""
        return tuple([getattr(payload, field) for field in self.audience.users])


def event(
    name: str,
    *,
    topics: Mapping[str, str] | None = None,
    users: Iterable[str] = (),
    addressed: bool = False,
    internal: bool = False,
) -> Callable[[type[P]], type[P]]:
    """Declare a payload class as an event of the contract.

    An event without an audience goes to one socket only, as an answer. The direction is the payload's base class:
    `ClientEvent`, `ServerEvent` or both; an internal event has the base `Payload`.

    Args:
        name: `client.<domain>.<event>` or `server.<domain>.<event>`.
        topics: Topic kind -> the payload field that holds the topic's id. Subscribers of that topic hear the event.
        users: Payload fields that hold user ids. All sockets of those users hear the event, subscribed or not ("self").
        addressed: Whether the publisher names those users instead: `notify(event, users=[...])`.
        internal: Whether this is the bus's own event, which is never on the wire.

    Raises:
        ConfigurationError: These do not fit together.
    """
    audience = Audience(tuple((topics or {}).items()), tuple(users), addressed)

    def declare(payload: type[P]) -> type[P]:
        payload.__event__ = EventSpec(name, payload, _direction(name, payload, internal), audience)
        _check_audience(payload.__event__)
        return payload

    return declare


def _direction(name: str, payload: type[Payload], internal: bool) -> Direction:
    if not _NAME_PATTERN.fullmatch(name):
        raise ConfigurationError(f"event {name!r}: expected client.<domain>.<event> or server.<domain>.<event>")
    up, down = issubclass(payload, ClientEvent), issubclass(payload, ServerEvent)
    if internal:
        if up or down:
            raise ConfigurationError(f"event {name!r}: an internal event must have the base Payload: it is never sent")
        return Direction.INTERNAL
    if up != name.startswith("client.") or not (up or down):
        base = "ClientEvent" if name.startswith("client.") else "ServerEvent, without ClientEvent"
        raise ConfigurationError(f"event {name!r}: {payload.__name__} must have the base {base}")
    if up and down:
        return Direction.BOTH
    return Direction.CLIENT if up else Direction.SERVER


def _check_audience(spec: EventSpec) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(spec.payload)}
    for kind, _ in spec.audience.topics:
        if not KIND_PATTERN.fullmatch(kind):
            raise ConfigurationError(f"event {spec.name!r}: topic kind {kind!r} must match {KIND_PATTERN.pattern}")
    for field in [*(field for _, field in spec.audience.topics), *spec.audience.users]:
        if fields.get(field) is not str:
            raise ConfigurationError(
                f"event {spec.name!r}: its audience names {field!r}, so {spec.payload.__name__} needs it as a str field"
            )
    if spec.audience and spec.direction in (Direction.CLIENT, Direction.INTERNAL):
        raise ConfigurationError(f"event {spec.name!r}: only an event that the server sends may have an audience")


class Contract(Mapping[str, EventSpec]):
    """The events that one gateway speaks, by name.

    Args:
        payloads: The payload classes, each declared with `@event`. Repetitions are ignored.

    Raises:
        ConfigurationError: Two classes declare the same event.
        ContractError: A class is not declared with `@event`.
    """

    def __init__(self, payloads: Iterable[type[Payload]]) -> None:
        self._specs: dict[str, EventSpec] = {}
        for payload in payloads:
            self._add(payload)
        self.topic_kinds = frozenset(kind for spec in self._specs.values() for kind, _ in spec.audience.topics)
        """The topic kinds that some event is addressed to; a subscription to any other kind is refused."""
        self.from_clients = {name: spec for name, spec in self._specs.items() if spec.from_client}
        """What clients may send, by name."""
        self.to_clients = {spec.payload: spec for spec in self._specs.values() if spec.to_client}
        """What the server may send, by payload class."""

    def _add(self, payload: type[Payload]) -> None:
        spec = spec_of(payload)
        known = self._specs.setdefault(spec.name, spec)
        if known.payload is not payload:
            raise ConfigurationError(
                f"event {spec.name!r} is declared by both {known.payload.__qualname__} and {payload.__qualname__}"
            )

    def __getitem__(self, name: str) -> EventSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


def spec_of(payload: type[Payload]) -> EventSpec:
    """Return what `@event` declared for a payload class.

    Raises:
        ContractError: The class itself is not declared with `@event`.
    """
    spec: EventSpec | None = payload.__dict__.get("__event__")
    if spec is None:
        raise ContractError(f"{payload.__qualname__} is not an event: decorate it with @event(name, ...)")
    return spec
