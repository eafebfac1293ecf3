"""Presence on the wire: answers subscriptions with a snapshot, announces changes on a tick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import UNSET, UnsetType

from hubbub.context import Context
from hubbub.contract.events import PRESENCE_EVENTS, PresenceBatch, PresenceUpdate, UserStatus
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic
from hubbub.domains.base import Domain
from hubbub.presence.memory import MemoryPresence
from hubbub.presence.tracker import Presence


class PresenceDomain(Domain):
    """Tells subscribers of ``user`` topics, and the users themselves, who is online."""

    events = PRESENCE_EVENTS

    def __init__(self, presence: MemoryPresence) -> None:
        self._presence = presence

    def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        """Gives the announced status of the users newly subscribed to, in one batch."""
        users = [topic.id for topic in topics if topic.kind == "user"]
        if not users:
            return ()
        known = self._presence.announced(users)
        return (PresenceBatch(tuple(UserStatus(presence.user_id, presence.status) for presence in known)),)

    def announce(self, announcements: Iterable[Presence]) -> None:
        """Publishes what a tick has found to announce."""
        for presence in announcements:
            self.bus.publish(PresenceUpdate(presence.user_id, presence.status, _iso(presence.last_seen)))


def _iso(seconds: float | None) -> str | UnsetType:
    return UNSET if seconds is None else to_datetime(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_datetime(seconds: float) -> datetime:
    """Turns seconds since the epoch into a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
