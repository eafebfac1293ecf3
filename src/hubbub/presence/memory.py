"""The presence of one process, which has all its users to itself."""

from __future__ import annotations

from collections.abc import Iterable

from hubbub.brokers.base import Publication
from hubbub.clock import Clock
from hubbub.contract.topics import Interest
from hubbub.presence.base import PresenceOutput
from hubbub.presence.tracker import Presence, Tracker
from hubbub.presence.updates import publication_of


class MemoryPresence:
    """Holds the tracker, and turns its times into times of day."""

    is_shared = False

    def __init__(self, clock: Clock, *, away_after: float, offline_after: float) -> None:
        self._clock = clock
        self._tracker = Tracker(away_after=away_after, offline_after=offline_after)
        self._output: PresenceOutput | None = None

    async def start(self, output: PresenceOutput) -> None:
        """Start."""
        self._output = output

    async def stop(self) -> dict[str, float]:
        """Return when each user known here was last seen, in seconds since the epoch."""
        seen = self._tracker.last_seen_now(self._clock.monotonic())
        return {user_id: self._since_epoch(moment) for user_id, moment in seen.items()}

    def connect(self, user_id: str) -> None:
        """Count a socket that was registered here."""
        self._tracker.connect(user_id, self._clock.monotonic())

    def disconnect(self, user_id: str) -> None:
        """Count a registered socket that is gone."""
        self._tracker.disconnect(user_id, self._clock.monotonic())

    def touch(self, user_id: str) -> bool:
        """Record activity of a user, and return whether the user has a socket."""
        return self._tracker.touch(user_id, self._clock.monotonic())

    def tick(self) -> None:
        """Publish the changes that are due, and report who went offline."""
        output = self._output
        changes = [self._dated(presence) for presence in self._tracker.tick(self._clock.monotonic())]
        if output is None or not changes:
            return
        gone = {
            presence.user_id: presence.last_seen
            for presence in changes
            if presence.status == "offline" and presence.last_seen is not None
        }
        if gone:
            output.on_offline(gone)
        version = int(self._clock.monotonic() * 1000)
        output.publish(publication_of(presence, version) for presence in changes)

    def start_round(self) -> None:
        """Do nothing: nobody else has to see what changed here."""

    def observe(self, publication: Publication) -> bool:
        """Return True: every change that arrives was announced here."""
        return True

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Return the announced status of users, in the order asked."""
        return [self._dated(self._tracker.announced(user_id)) for user_id in user_ids]

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Do nothing: nothing is lost within a process."""

    def forget(self, interests: Iterable[Interest]) -> None:
        """Do nothing: nothing is kept for listeners."""

    def _dated(self, presence: Presence) -> Presence:
        if presence.last_seen is None:
            return presence
        return presence._replace(last_seen=self._since_epoch(presence.last_seen))

    def _since_epoch(self, moment: float) -> float:
        # Intervals are measured by the clock that nobody sets; only times that people read become times of day.
        return self._clock.time() - (self._clock.monotonic() - moment)
