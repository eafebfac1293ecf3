"""Event type → handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from hubbub.context import Context
from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import ClientEvent, spec_of
from hubbub.errors import ConfigurationError

C = TypeVar("C", bound=ClientEvent)

Handler = Callable[[Context, Envelope[C]], Awaitable[None] | None]
"""Handles one type of event: a plain function, which runs on the event loop and must not block it, or a coroutine
function.
"""


class Route(NamedTuple):
    """The handler of one type of event, and its rate."""

    handler: Handler[Any]
    per_minute: float | None
    """How many one socket may send; None for no rate of its own."""


class Router(Mapping[str, Handler[Any]]):
    """Maps client events to their handlers; filled at set-up, read-only afterwards."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        """By the event's type."""

    def on(self, event: type[C], handler: Handler[C], *, per_minute: float | None = None) -> None:
        """Register the handler of a type of event.

        Args:
            event: The event's class.
            handler: Called with the socket's context and the event in its envelope. Events of one socket are handled
                one after another.
            per_minute: How many of these events one socket may send a minute, at once or evenly; a socket that sends
                more is closed with 4429. None: only `Limits.events_per_minute` holds, for all its events together.

        Raises:
            ConfigurationError: The event has a handler already, is not a client's, or the rate is below 1.
        """
        spec = spec_of(event)
        if not spec.from_client:
            raise ConfigurationError(f"no client sends {spec.name}: only ClientEvents have handlers")
        if spec.name in self.routes:
            raise ConfigurationError(f"{spec.name} already has a handler: {_name(self[spec.name])}")
        if per_minute is not None and not per_minute >= 1:
            raise ConfigurationError(f"per_minute of {spec.name} must be at least 1, got {per_minute!r}")
        self.routes[spec.name] = Route(handler, per_minute)

    def __getitem__(self, name: str) -> Handler[Any]:
        return self.routes[name].handler

    def __iter__(self) -> Iterator[str]:
        return iter(self.routes)

    def __len__(self) -> int:
        return len(self.routes)


def _name(handler: Handler[Any]) -> str:
    return getattr(inspect.unwrap(handler), "__qualname__", repr(handler))
