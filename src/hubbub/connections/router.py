"""Event type -> handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from hubbub.context import Context
from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import ClientEvent, spec_of
from hubbub.errors import ConfigurationError

C = TypeVar("C", bound=ClientEvent)

#: What handles an event: a plain function, run on the event loop and so never blocking it, or a coroutine function.
Handler = Callable[[Context, Envelope[C]], Awaitable[None] | None]


class Route(NamedTuple):
    """How one event is served."""

    handler: Handler[Any]
    per_minute: float | None
    """How many of it one socket may send; None for no rate of its own."""


class Router(Mapping[str, Handler[Any]]):
    """Holds which handler serves which client event; filled at set-up, read-only afterwards."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        """By event."""

    def on(self, event: type[C], handler: Handler[C], *, per_minute: float | None = None) -> None:
        """Lets ``handler`` serve ``event``; raises ConfigurationError where another one already does.

        per_minute: how many of this event one socket may send a minute, at once or evenly; a socket that sends more is
        closed with 4429. None for no other rate than that of all its events together, ``Limits.events_per_minute``.
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
