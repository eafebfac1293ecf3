"""Tells the world what presence has found: watchers over the bus, and the app's store of who was last seen when."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from hubbub.connections.dispatcher import Dispatcher
from hubbub.domains.presence import PresenceDomain
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import to_datetime

logger = logging.getLogger("hubbub.presence")

ANNOUNCED_AT_ONCE: Final = 256
"""Changes of presence published before other work gets its turn; they take a few milliseconds."""

#: The app's hook that stores when users were last seen (UTC): called when they go offline, and for all at the end.
OnLastSeen = Callable[[Mapping[str, datetime]], Awaitable[None]]


class Announcer:
    """Publishes the changes of each tick, and stores when users were last seen.

    seconds: what the app's hook may take at the end.
    """

    def __init__(
        self,
        presence: PresenceStore,
        domain: PresenceDomain,
        dispatcher: Dispatcher,
        stats: Stats,
        on_last_seen: OnLastSeen | None,
        seconds: float,
    ) -> None:
        self._presence = presence
        self._domain = domain
        self._dispatcher = dispatcher
        self._stats = stats
        self._on_last_seen = on_last_seen
        self._seconds = seconds

    async def start(self) -> None:
        """Starts the store of presence."""
        await self._presence.start(self._left)

    def tick(self) -> None:
        """Announces what is due."""
        announcements = self._presence.tick()
        self._domain.announce(announcements[:ANNOUNCED_AT_ONCE])
        if len(announcements) > ANNOUNCED_AT_ONCE:
            self._dispatcher.spawn(self._announce_slowly(announcements[ANNOUNCED_AT_ONCE:]))

    async def stop(self) -> None:
        """Stops the store of presence, and stores when everyone was last seen."""
        seen = await self._presence.stop()
        try:
            async with asyncio.timeout(self._seconds):
                await self._store(seen)
        except TimeoutError:
            self._stats.errors["on_last_seen"] += 1
            logger.error("on_last_seen took over %g s: not stored at the end", self._seconds)

    def _left(self, seen: Mapping[str, float]) -> None:
        self._dispatcher.spawn(self._store(seen))

    async def _announce_slowly(self, announcements: Sequence[Presence]) -> None:
        """Lets the loop turn between slices: after a network failure everybody may change at once."""
        for start in range(0, len(announcements), ANNOUNCED_AT_ONCE):
            await asyncio.sleep(0)
            self._domain.announce(announcements[start : start + ANNOUNCED_AT_ONCE])

    async def _store(self, seen: Mapping[str, float]) -> None:
        if self._on_last_seen is None or not seen:
            return
        try:
            await self._on_last_seen({user_id: to_datetime(seconds) for user_id, seconds in seen.items()})
        except Exception:
            self._stats.errors["on_last_seen"] += 1
            logger.exception("on_last_seen failed for %d users", len(seen))
