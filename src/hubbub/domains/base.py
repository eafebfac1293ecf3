"""What a domain is, and the part of the bus that it can use."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import ClassVar, Protocol

from hubbub.bus.notifier import Event
from hubbub.connections.router import Router
from hubbub.context import Context
from hubbub.contract.events import InternalDisconnect
from hubbub.contract.registry import Payload, ServerEvent
from hubbub.contract.topics import Topic
from hubbub.errors import ConfigurationError


class Bus(Protocol):
    """What a domain can do with the bus."""

    def publish(self, event: Event, *, users: Iterable[str] | None = None, exclude: Context | None = None) -> None:
        """Publish to the event's audience, at most once. Never waits.

        Args:
            event: A payload or an envelope.
            users: For an event declared `addressed`, the users whose sockets hear it.
            exclude: A socket that does not hear it, such as the sender of a relayed event.

        Raises:
            ContractError: The gateway may not publish this event.
        """

    def send(self, ctx: Context, event: Event) -> None:
        """Send to one socket only, in order with what it hears; do nothing if the socket is gone."""


class Domain:
    """The base of every domain: override what is needed.

    A domain is created where the gateway is, `Gateway(domains=[Orders()])`, and the gateway binds it to its bus.
    """

    events: ClassVar[Sequence[type[Payload]]] = ()
    """The events that this domain adds to the contract."""

    _bus: Bus | None = None

    @property
    def bus(self) -> Bus:
        """Return the bus of the gateway that this domain belongs to.

        Raises:
            ConfigurationError: It belongs to no gateway yet.
        """
        if self._bus is None:
            raise ConfigurationError(f"{type(self).__name__} has no bus yet: pass it to Gateway(domains=[...])")
        return self._bus

    def bind(self, bus: Bus) -> None:
        """Bind the domain to a bus. The gateway calls it when it starts, before `register_handlers`."""
        self._bus = bus

    def register_handlers(self, router: Router) -> None:
        """Register a handler for each client event: `router.on(Typing, self.typing)`."""

    def on_connect(self, ctx: Context) -> Awaitable[None] | None:
        """Handle a socket that was registered, before any of its events."""

    def on_disconnect(self, ctx: Context, event: InternalDisconnect, code: int) -> Awaitable[None] | None:
        """Handle the end of a registered socket: once, and after its last handler.

        Args:
            ctx: The socket's context.
            event: The user, the socket and the reason.
            code: The true close code (RFC 6455 section 7.4); 1006 if no close frame came.
        """

    def snapshot(
        self, ctx: Context, topics: Sequence[Topic]
    ) -> Awaitable[Iterable[ServerEvent]] | Iterable[ServerEvent]:
        """Return the events that follow `subscribed` for newly added topics, so that a client starts from a state."""
        return ()
