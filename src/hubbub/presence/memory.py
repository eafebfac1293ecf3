"""Presence of one process."""

from __future__ import annotations

from collections.abc import Iterable

from hubbub.clock import Clock
from hubbub.presence.tracker import Presence, Tracker


class MemoryPresence:
    """Holds the tracker of a process that has all its users to itself."""

    def __init__(self, clock: Clock, *, away_after: float, offline_after: float) -> None:
        self._clock = clock
        self._tracker = Tracker(away_after=away_after, offline_after=offline_after)

    def connect(self, user_id: str) -> None:
        """Counts a socket that was registered here."""
        self._tracker.connect(user_id, self._clock.time())

    def disconnect(self, user_id: str) -> None:
        """Counts a registered socket that is gone."""
        self._tracker.disconnect(user_id, self._clock.time())

    def touch(self, user_id: str) -> None:
        """Records activity of a user."""
        self._tracker.touch(user_id, self._clock.time())

    def tick(self) -> list[Presence]:
        """Gives the announcements that are due; each is given once."""
        return self._tracker.tick(self._clock.time())

    def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Gives the announced status of users, in the order asked."""
        return [self._tracker.announced(user_id) for user_id in user_ids]

    def leave(self) -> dict[str, float]:
        """Gives when each user known here was last seen, in seconds since the epoch: the last call before the end."""
        return self._tracker.last_seen_now(self._clock.time())
