"""The presence of one process, which has all its users to itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubbub.brokers.base import Publication
from hubbub.clock import Clock
from hubbub.presence.base import Left
from hubbub.presence.tracker import Presence, Tracker


class MemoryPresence:
    """Holds the tracker, and gives its times as dates."""

    is_shared = False

    def __init__(self, clock: Clock, *, away_after: float, offline_after: float) -> None:
        self._clock = clock
        self._tracker = Tracker(away_after=away_after, offline_after=offline_after)
        self._left: Left = lambda seen: None

    async def start(self, left: Left) -> None:
        """Keeps who to tell."""
        self._left = left

    async def stop(self) -> dict[str, float]:
        """Gives when each user known here was last seen, in seconds since the epoch."""
        seen = self._tracker.last_seen_now(self._clock.monotonic())
        return {user_id: self._since_epoch(moment) for user_id, moment in seen.items()}

    def connect(self, user_id: str) -> None:
        """Counts a socket that was registered here."""
        self._tracker.connect(user_id, self._clock.monotonic())

    def disconnect(self, user_id: str) -> None:
        """Counts a registered socket that is gone."""
        self._tracker.disconnect(user_id, self._clock.monotonic())

    def touch(self, user_id: str) -> bool:
        """Records activity of a user with a socket; tells whether there is one."""
        return self._tracker.touch(user_id, self._clock.monotonic())

    def tick(self) -> Sequence[Presence]:
        """Gives the announcements that are due, each once, and says who has left."""
        announcements = [self._dated(presence) for presence in self._tracker.tick(self._clock.monotonic())]
        gone = {
            presence.user_id: presence.last_seen
            for presence in announcements
            if presence.status == "offline" and presence.last_seen is not None
        }
        if gone:
            self._left(gone)
        return announcements

    def observe(self, publication: Publication) -> bool:
        """Has nothing to learn from what it has announced itself."""
        return True

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Gives the announced status of users, in the order asked."""
        return [self._dated(self._tracker.announced(user_id)) for user_id in user_ids]

    def _dated(self, presence: Presence) -> Presence:
        if presence.last_seen is None:
            return presence
        return presence._replace(last_seen=self._since_epoch(presence.last_seen))

    def _since_epoch(self, moment: float) -> float:
        # Intervals are measured by the clock that nobody sets; only what people read is turned into a date.
        return self._clock.time() - (self._clock.monotonic() - moment)
