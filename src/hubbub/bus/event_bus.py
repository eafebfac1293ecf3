"""The bus: takes events from REST and from domains, and hands them to the sockets that may hear them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from hubbub.brokers.base import Broker, Publication
from hubbub.bus.hub import Hub, Listener
from hubbub.bus.interests import Interests
from hubbub.bus.notifier import Event
from hubbub.bus.publication import prepare, spec_in
from hubbub.bus.write_batcher import Sink, WriteBatcher
from hubbub.context import Context
from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.events import Error, Subscribed
from hubbub.contract.registry import Contract
from hubbub.contract.topics import Interest, Topic
from hubbub.frames import text_frame
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome


class Socket(Listener, Sink, Protocol):
    """What the bus needs of a socket."""


class EventBus:
    """Publishes through the broker, delivers what the broker brings, and sends to single sockets."""

    def __init__(
        self,
        contract: Contract,
        hub: Hub[Socket],
        batcher: WriteBatcher[Socket],
        broker: Broker,
        interests: Interests,
        stats: Stats,
    ) -> None:
        self._contract = contract
        self._hub = hub
        self._batcher = batcher
        self._broker = broker
        self._interests = interests
        self._stats = stats
        self._subscribing: dict[str, set[Topic]] = {}  # by socket: what is revoked while its subscribe is under way
        self.observers: dict[str, Callable[[Publication], bool]] = {}
        """By type of publication, who sees it before any socket does, and says whether sockets are to hear it."""

    def publish(self, event: Event, *, users: Iterable[str] | None = None, exclude: Context | None = None) -> None:
        """Publishes to the event's audience; see ``notify``. On the event loop only."""
        self.emit(prepare(self._contract, event, users, None if exclude is None else exclude.socket_id))

    def emit(self, publication: Publication) -> Outcome:
        """Hands a prepared event to the broker. On the event loop only."""
        self._stats.events_out[publication.type] += 1
        return self._broker.publish(publication)

    async def emit_and_wait(self, publication: Publication) -> Outcome:
        """Hands a prepared event to the broker, and says what became of it."""
        self._stats.events_out[publication.type] += 1
        return await self._broker.publish_and_wait(publication)

    def deliver(self, publication: Publication, matched: Interest | None) -> None:
        """Puts what the broker brought into the outbox of everyone on this node who hears it.

        via: the interest that brought it; see ``Hub.audience``.
        """
        observe = self.observers.get(publication.type)
        if observe is not None and not observe(publication):
            return
        sockets = self._hub.audience(publication.topics, publication.users, publication.exclude, matched)
        self._stats.deliveries += self._batcher.put(publication.frame, sockets)

    def send(self, ctx: Context, event: Event) -> None:
        """Sends to one socket, in order with what it hears; does nothing where the socket is gone."""
        envelope = event if isinstance(event, Envelope) else Envelope.of(event)
        socket = self._hub.get(ctx.socket_id)
        if socket is not None:
            spec_in(self._contract, envelope)
            if isinstance(envelope.data, Error) and isinstance(envelope.data.code, str):
                self._stats.errors[envelope.data.code] += 1
            self._batcher.send(text_frame(encode(envelope)), socket)

    @contextlib.contextmanager
    def subscribing(self, ctx: Context) -> Iterator[None]:
        """Surrounds one subscribe of a socket: what is revoked meanwhile is not granted, whatever the app said."""
        self._subscribing[ctx.socket_id] = set()
        try:
            yield
        finally:
            del self._subscribing[ctx.socket_id]

    async def subscribe(self, ctx: Context, topics: Iterable[Topic]) -> tuple[list[Topic], list[Topic]]:
        """Replaces a socket's subscriptions; gives those it has now and the new ones among them.

        From here on nothing on them is missed. Both are empty where the socket is gone.
        """
        wanted = list(topics)
        new = [topic for topic in wanted if topic not in ctx.subscriptions]
        waiting = self._interests.hold(new)
        try:
            if waiting is not None:
                await waiting
            socket = self._hub.get(ctx.socket_id)
            if socket is None:
                return [], []
            revoked = self._subscribing.get(ctx.socket_id, ())
            granted = [topic for topic in wanted if topic not in revoked]
            self._batcher.flush(socket)
            return granted, self._hub.replace(socket, granted)
        finally:
            self._interests.release(new)

    def revoke(self, user_id: str, topic: Topic) -> None:
        """Takes a topic away from a user's sockets here, and tells them what they still hear."""
        for socket in list(self._hub.listeners(user_id)):
            ctx = socket.context
            if ctx.socket_id in self._subscribing:
                self._subscribing[ctx.socket_id].add(topic)
            if topic in socket.subscriptions:
                self._batcher.flush(socket)
                self._hub.replace(socket, [held for held in socket.subscriptions if held != topic])
                self.send(ctx, Subscribed(tuple(socket.subscriptions), (topic,)))
