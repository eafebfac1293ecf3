"""What a domain is, and the little of the bus that it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import ClassVar, Protocol

from hubbub.bus.notifier import Event
from hubbub.connections.router import Router
from hubbub.context import Context
from hubbub.contract.events import InternalDisconnect
from hubbub.contract.registry import Payload, ServerEvent
from hubbub.contract.topics import Topic


class Bus(Protocol):
    """What a domain may do to the world."""

    def publish(self, event: Event, *, users: Iterable[str] | None = None, exclude: Context | None = None) -> None:
        """Publishes to everyone in the event's audience, except the socket ``exclude``. At most once; never waits.

        Raises ContractError where the gateway may not publish that event.
        """

    def send(self, ctx: Context, event: Event) -> None:
        """Sends to one socket only, in order with what it hears; nothing happens where the socket is gone."""


class Domain:
    """Is the base of every domain: override what is needed.

    A domain is made where the gateway is made, ``Gateway(domains=[Orders()])``, and given its ``bus`` there.
    """

    events: ClassVar[Sequence[type[Payload]]] = ()
    """The events this domain brings into the contract."""

    bus: Bus
    """Set by the gateway before ``register_handlers``."""

    def register_handlers(self, router: Router) -> None:
        """Says which handler serves which client event: ``router.on(Typing, self.typing)``."""

    def on_connect(self, ctx: Context) -> Awaitable[None] | None:
        """Is called when a socket was registered, before any of its events."""

    def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> Awaitable[None] | None:
        """Is called once for a registered socket that is gone, after its last handler.

        code: the true close code (RFC 6455 section 7.4), 1006 where no close frame came.
        """

    def snapshot(
        self, ctx: Context, topics: Sequence[Topic]
    ) -> Awaitable[Iterable[ServerEvent]] | Iterable[ServerEvent]:
        """Gives the events that follow ``subscribed`` for newly added topics, so that a client starts from a state."""
        return ()
