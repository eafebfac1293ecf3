"""Subscriptions: a client asks for topics, and the app says which of them it may hear."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeAlias

from hubbub.connections.router import Router
from hubbub.context import Context
from hubbub.contract.envelope import Envelope
from hubbub.contract.events import SYSTEM_EVENTS, Error, Resync, Subscribe, Subscribed
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic, is_valid_id
from hubbub.domains.base import Domain
from hubbub.errors import Unavailable

logger = logging.getLogger("hubbub.system")

Authorize: TypeAlias = Callable[[Context, Sequence[Topic]], Iterable[Topic] | Awaitable[Iterable[Topic]]]
"""The app's rule: returns which of the requested topics a socket may hear. Called once per subscribe; may be async."""

NAMED_IN_ERROR: Final = 10
"""Refused topics that an error message names; `subscribed` lists them all."""


async def refuse_all(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow nothing: the rule of a gateway that was given none."""
    return ()


class Subscriptions(Protocol):
    """What the system domain needs of the bus beyond publishing."""

    def subscribing(self, ctx: Context) -> AbstractContextManager[None]:
        """Surround one subscribe: a topic that is revoked in this time is not granted."""

    async def subscribe(self, ctx: Context, topics: Iterable[Topic]) -> tuple[list[Topic], list[Topic]]:
        """Replace a socket's subscriptions; return those it has now, and the new ones, on which no event is missed."""


class SystemDomain(Domain):
    """Handles `client.system.subscribe`.

    Args:
        subscriptions: The bus.
        authorize: The app's rule.
        topic_kinds: The kinds of topic that exist.
        topics_per_socket: The most topics of one socket.
        snapshots: The domains that send snapshots.
    """

    events = SYSTEM_EVENTS

    def __init__(
        self,
        subscriptions: Subscriptions,
        authorize: Authorize,
        *,
        topic_kinds: frozenset[str],
        topics_per_socket: int,
        snapshots: Sequence[Domain],
    ) -> None:
        self._subscriptions = subscriptions
        self._authorize = authorize
        self._topic_kinds = topic_kinds
        self._topics_per_socket = topics_per_socket
        self._snapshots = snapshots

    def register_handlers(self, router: Router) -> None:
        """Register the handler of `client.system.subscribe`."""
        router.on(Subscribe, self.subscribe)

    async def subscribe(self, ctx: Context, message: Envelope[Subscribe]) -> None:
        """Replace the socket's topics by those that the app allows, answer, and send snapshots of the new ones.

        If the app's rule raises, the old topics stay and an error event says so.
        """
        with self._subscriptions.subscribing(ctx):
            await self._subscribe(ctx, message)

    async def _subscribe(self, ctx: Context, message: Envelope[Subscribe]) -> None:
        asked = tuple(dict.fromkeys(message.data.topics))
        acceptable = [topic for topic in asked if self._is_acceptable(topic)][: self._topics_per_socket]
        try:
            answer = self._authorize(ctx, acceptable) if acceptable else ()
            allowed = set(await answer if inspect.isawaitable(answer) else answer)
        except Exception:
            logger.exception("authorize failed for user %s: subscriptions stay as they were", ctx.user_id)
            self._send_error(ctx, message, "internal", "subscribe failed: your subscriptions stay as they were")
            return
        topics, added = await self._subscriptions.subscribe(ctx, [topic for topic in acceptable if topic in allowed])
        granted = set(topics)
        refused = tuple(topic for topic in asked if topic not in granted)
        self.bus.send(ctx, Subscribed(tuple(topics), refused))
        if refused:
            self._send_error(ctx, message, "topic_forbidden", f"you may not hear {_names(refused)}")
        if added:
            await self._send_snapshots(ctx, added)

    def _is_acceptable(self, topic: Topic) -> bool:
        return topic.kind in self._topic_kinds and is_valid_id(topic.id)

    def _send_error(self, ctx: Context, message: Envelope[Subscribe], code: str, text: str) -> None:
        self.bus.send(ctx, Envelope.of(Error(text, code), id=message.correlation_id))

    async def _send_snapshots(self, ctx: Context, added: Sequence[Topic]) -> None:
        for domain in self._snapshots:
            topics: list[Topic] = []
            events: Iterable[ServerEvent] = ()
            try:
                # Asked again if a topic was revoked while the domain looked: nothing of it may be sent any more.
                while topics != (held := [topic for topic in added if topic in ctx.subscriptions]):
                    topics = held
                    answer = domain.snapshot(ctx, topics)
                    events = await answer if inspect.isawaitable(answer) else answer
                for event in events:
                    self.bus.send(ctx, event)
            except Exception as error:
                if not isinstance(error, Unavailable):  # which has its own log line, one for all subscribers
                    logger.exception("%s.snapshot failed for user %s", type(domain).__name__, ctx.user_id)
                self.bus.send(ctx, Resync(tuple(topics)))  # tells the client that its picture is incomplete


def _names(topics: Sequence[Topic]) -> str:
    named = ", ".join(repr(str(topic)[:160]) for topic in topics[:NAMED_IN_ERROR])
    return named if len(topics) <= NAMED_IN_ERROR else f"{named} and {len(topics) - NAMED_IN_ERROR} more"
