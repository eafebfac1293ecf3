"""The bus: takes events from REST and from domains, and hands them to the sockets that may hear them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from hubbub.brokers.base import Broker, Outcome, Publication
from hubbub.context import Context
from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.events import Error
from hubbub.contract.registry import Contract, EventSpec, ServerEvent
from hubbub.contract.topics import Topic
from hubbub.errors import ContractError
from hubbub.frames import text_frame
from hubbub.hub import Hub, Listener
from hubbub.interests import Interests
from hubbub.notify import Event
from hubbub.outbox import Outbox, Sink
from hubbub.stats import Stats


class Socket(Listener, Sink, Protocol):
    """What the bus needs of a socket."""


class EventBus:
    """Publishes through the broker, delivers what the broker brings, and sends to single sockets."""

    def __init__(
        self,
        contract: Contract,
        hub: Hub[Socket],
        outbox: Outbox[Socket],
        broker: Broker,
        interests: Interests,
        stats: Stats,
    ) -> None:
        self._contract = contract
        self._hub = hub
        self._outbox = outbox
        self._broker = broker
        self._interests = interests
        self._stats = stats

    def publish(self, event: Event, *, users: Iterable[str] | None = None, exclude: Context | None = None) -> None:
        """Publishes to the event's audience; see ``notify``. On the event loop only."""
        self.emit(self.prepare(event, users, exclude))

    def prepare(self, event: Event, users: Iterable[str] | None = None, exclude: Context | None = None) -> Publication:
        """Checks and encodes an event, in whatever thread; raises ContractError where it may not be published."""
        envelope = event if isinstance(event, Envelope) else Envelope.of(event)
        spec = self._spec_of(envelope)
        if not spec.audience:
            raise ContractError(f"{spec.name} has no audience: it is an answer to one socket, and cannot be published")
        return Publication(
            spec.name,
            text_frame(encode(envelope)),
            spec.topics_of(envelope.data),
            _users_of(spec, envelope, users),
            None if exclude is None else exclude.socket_id,
        )

    def emit(self, publication: Publication) -> Outcome:
        """Hands a prepared event to the broker. On the event loop only."""
        self._stats.events_out[publication.type] += 1
        return self._broker.publish(publication)

    async def emit_and_wait(self, publication: Publication) -> Outcome:
        """Hands a prepared event to the broker, and says what became of it."""
        self._stats.events_out[publication.type] += 1
        return await self._broker.publish_and_wait(publication)

    def deliver(self, publication: Publication) -> None:
        """Puts what the broker brought into the outbox of everyone on this node who hears it."""
        sockets = self._hub.audience(publication.topics, publication.users, publication.exclude)
        self._stats.deliveries += self._outbox.put(publication.frame, sockets)

    def send(self, ctx: Context, event: Event) -> None:
        """Sends to one socket, in order with what it hears; does nothing where the socket is gone."""
        envelope = event if isinstance(event, Envelope) else Envelope.of(event)
        socket = self._hub.get(ctx.socket_id)
        if socket is not None:
            self._spec_of(envelope)
            if isinstance(envelope.data, Error) and isinstance(envelope.data.code, str):
                self._stats.errors[envelope.data.code] += 1
            self._outbox.put(text_frame(encode(envelope)), (socket,))

    async def subscribe(self, ctx: Context, topics: Iterable[Topic]) -> Sequence[Topic]:
        """Replaces a socket's subscriptions; gives the topics that are new, none where the socket is gone."""
        wanted = list(topics)
        new = [topic for topic in wanted if topic not in ctx.subscriptions]
        waiting = self._interests.hold(new)
        try:
            if waiting is not None:
                await waiting
            socket = self._hub.get(ctx.socket_id)
            if socket is None:
                return ()
            self._outbox.flush(socket)
            return self._hub.replace(socket, wanted)
        finally:
            self._interests.release(new)

    def _spec_of(self, envelope: Envelope[ServerEvent]) -> EventSpec:
        spec = self._contract.get(envelope.type)
        if spec is None:
            raise ContractError(
                f"{envelope.type} is not in this gateway's contract: pass its domain to Gateway(domains=[...])"
            )
        if type(envelope.data) is not spec.payload:
            raise ContractError(f"{spec.name} carries {spec.payload.__name__}, got {type(envelope.data).__name__}")
        if not spec.to_client:
            raise ContractError(f"{spec.name} is not an event that the server sends")
        return spec


def _users_of(spec: EventSpec, envelope: Envelope[ServerEvent], users: Iterable[str] | None) -> tuple[str, ...]:
    """Gives the users for whom an event is "self": those its payload names, or for an addressed one its publisher."""
    if not spec.audience.addressed:
        if users is None:
            return spec.users_of(envelope.data)
        raise ContractError(f"publishing {spec.name} takes no users=: its payload names its audience")
    if users is not None and not isinstance(users, str):
        named = tuple(users)
        if all(isinstance(user, str) for user in named):
            return named
    raise ContractError(f"publishing {spec.name} takes users=[...], a list of user ids")
