"""The one way out of presence: changes go to the bus, and the times when users were last seen go to the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final, TypeAlias

from hubbub.brokers.base import Publication
from hubbub.bus.event_bus import EventBus
from hubbub.contract.topics import Interest
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore
from hubbub.presence.updates import to_datetime

logger = logging.getLogger("hubbub.presence")

SLICE: Final = 256
"""Changes published before other work gets its turn; they take a few milliseconds."""

OnLastSeen: TypeAlias = Callable[[Mapping[str, datetime]], Awaitable[None]]
"""The app's hook that stores when users were last seen (UTC): called when they go offline, and for all at the end."""


class Announcer:
    """Connects a store of presence to the bus and to the app; the store's `PresenceOutput`.

    Args:
        presence: The store.
        bus: Publishes and delivers changes.
        has_listeners: Returns whether a socket here is subscribed to a topic, or belongs to a user.
        spawn: Starts a task that the node waits for when it ends.
        stats: Counts failures of the hook.
        on_last_seen: The app's hook.
        timeout: Seconds that the hook may take when the node ends.
    """

    def __init__(
        self,
        presence: PresenceStore,
        bus: EventBus,
        *,
        has_listeners: Callable[[Interest], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        stats: Stats,
        on_last_seen: OnLastSeen | None,
        timeout: float,
    ) -> None:
        self.has_listeners = has_listeners
        self._presence = presence
        self._bus = bus
        self._spawn = spawn
        self._stats = stats
        self._on_last_seen = on_last_seen
        self._timeout = timeout

    async def start(self) -> None:
        """Start the store."""
        await self._presence.start(self)

    def tick(self) -> None:
        """Announce what is due, and let the store write what has changed."""
        self._presence.tick()
        self._presence.start_round()

    async def stop(self) -> None:
        """Stop the store, and store when all users of this node were last seen."""
        last_seen = await self._presence.stop()
        try:
            async with asyncio.timeout(self._timeout):
                await self._store(last_seen)
        except TimeoutError:
            self._stats.errors["on_last_seen"] += 1
            logger.error("on_last_seen took over %g s: not stored at the end", self._timeout)

    # --- PresenceOutput -----------------------------------------------------------------------------------------------

    def publish(self, updates: Iterable[Publication]) -> None:
        """Publish changes to every node: one slice now, and the rest later. After an outage everybody may change."""
        remaining = iter(updates)
        if self._publish_slice(remaining):
            self._spawn(self._publish_rest(remaining))

    def deliver(self, update: Publication) -> None:
        """Deliver a change that only this node's sockets have missed."""
        self._bus.deliver(update, None)

    def on_offline(self, last_seen: Mapping[str, float]) -> None:
        """Store when users who went offline were last seen."""
        self._spawn(self._store(last_seen))

    # --- details ------------------------------------------------------------------------------------------------------

    def _publish_slice(self, updates: Iterator[Publication]) -> bool:
        """Publish some changes; return whether there may be more."""
        count = 0
        for update in islice(updates, SLICE):
            self._bus.emit(update)
            count += 1
        return count == SLICE

    async def _publish_rest(self, updates: Iterator[Publication]) -> None:
        has_more = True
        while has_more:
            await asyncio.sleep(0)
            has_more = self._publish_slice(updates)

    async def _store(self, last_seen: Mapping[str, float]) -> None:
        if self._on_last_seen is None or not last_seen:
            return
        try:
            await self._on_last_seen({user_id: to_datetime(seconds) for user_id, seconds in last_seen.items()})
        except Exception:
            self._stats.errors["on_last_seen"] += 1
            logger.exception("on_last_seen failed for %d users", len(last_seen))
