"""The bus: publishes events from REST and from domains, and delivers them to the sockets that may hear them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

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

Interceptor: TypeAlias = Callable[[Publication], bool]
"""Sees a publication before any socket does, and returns whether sockets are to hear it."""


class Socket(Listener, Sink, Protocol):
    """What the bus needs of a socket."""


class EventBus:
    """Publishes through the broker, delivers what the broker brings, and sends to single sockets.

    Args:
        contract: Every event it speaks.
        hub: The sockets of this node.
        batcher: Writes to them.
        broker: Carries publications between nodes.
        interests: What this node is subscribed to at the broker.
        stats: Counts events and deliveries.
        interceptors: By type of publication, who sees it first.
    """

    def __init__(
        self,
        contract: Contract,
        hub: Hub[Socket],
        batcher: WriteBatcher[Socket],
        broker: Broker,
        interests: Interests,
        stats: Stats,
        interceptors: Mapping[str, Interceptor],
    ) -> None:
        self._contract = contract
        self._hub = hub
        self._batcher = batcher
        self._broker = broker
        self._interests = interests
        self._stats = stats
        self._interceptors = dict(interceptors)
        self._revoked: dict[str, set[Topic]] = {}  # by socket whose subscribe is under way

    def publish(self, event: Event, *, users: Iterable[str] | None = None, exclude: Context | None = None) -> None:
        """Publish to the event's audience; see `notify`. On the event loop only."""
        self.emit(prepare(self._contract, event, users, None if exclude is None else exclude.socket_id))

    def emit(self, publication: Publication) -> Outcome:
        """Publish a prepared event. On the event loop only."""
        self._stats.events_out[publication.type] += 1
        return self._broker.publish(publication)

    async def emit_and_wait(self, publication: Publication) -> Outcome:
        """Publish a prepared event, and wait for the outcome."""
        self._stats.events_out[publication.type] += 1
        return await self._broker.publish_and_wait(publication)

    def deliver(self, publication: Publication, matched: Interest | None) -> None:
        """Hand what the broker brought to the write batcher, for every socket on this node that hears it.

        Args:
            publication: What arrived.
            matched: The interest that brought it; see `Hub.audience`.
        """
        intercept = self._interceptors.get(publication.type)
        if intercept is not None and not intercept(publication):
            return
        sockets = self._hub.audience(publication.topics, publication.users, publication.exclude, matched)
        self._stats.deliveries += self._batcher.put(publication.frame, sockets)

    def send(self, ctx: Context, event: Event) -> None:
        """Send to one socket, in order with what it hears; do nothing if the socket is gone."""
        envelope = event if isinstance(event, Envelope) else Envelope.of(event)
        socket = self._hub.get(ctx.socket_id)
        if socket is not None:
            spec_in(self._contract, envelope)
            if isinstance(envelope.data, Error) and isinstance(envelope.data.code, str):
                self._stats.errors[envelope.data.code] += 1
            self._batcher.send(text_frame(encode(envelope)), socket)

    @contextlib.contextmanager
    def subscribing(self, ctx: Context) -> Iterator[None]:
        """Surround one subscribe of a socket: a topic that is revoked in this time is not granted."""
        self._revoked[ctx.socket_id] = set()
        try:
            yield
        finally:
            del self._revoked[ctx.socket_id]

    async def subscribe(self, ctx: Context, topics: Iterable[Topic]) -> tuple[list[Topic], list[Topic]]:
        """Replace a socket's subscriptions.

        Returns:
            The topics it is subscribed to now, and the new ones among them. From now on no event on them is missed.
            Both are empty if the socket is gone.
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
            revoked = self._revoked.get(ctx.socket_id, ())
            granted = [topic for topic in wanted if topic not in revoked]
            self._batcher.flush(socket)
            return granted, self._hub.replace(socket, granted)
        finally:
            self._interests.release(new)

    def revoke(self, user_id: str, topic: Topic) -> None:
        """Take a topic away from a user's sockets on this node, and tell them what they still hear."""
        for socket in list(self._hub.listeners(user_id)):
            ctx = socket.context
            if ctx.socket_id in self._revoked:
                self._revoked[ctx.socket_id].add(topic)
            if topic in socket.subscriptions:
                self._batcher.flush(socket)
                self._hub.replace(socket, [held for held in socket.subscriptions if held != topic])
                self.send(ctx, Subscribed(tuple(socket.subscriptions), (topic,)))
