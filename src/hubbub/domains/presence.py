"""Presence on the wire: answers subscriptions with a snapshot, announces changes on a tick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubbub.context import Context
from hubbub.contract.events import PRESENCE_EVENTS, PresenceBatch, PresenceUpdate, UserStatus
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic
from hubbub.domains.base import Domain
from hubbub.presence.base import PresenceStore
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import last_seen_at


class PresenceDomain(Domain):
    """Tells subscribers of ``user`` topics, and the users themselves, who is online."""

    events = PRESENCE_EVENTS

    def __init__(self, presence: PresenceStore) -> None:
        self._presence = presence

    async def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        """Gives the announced status of the users newly subscribed to, in one batch."""
        users = [topic.id for topic in topics if topic.kind == "user"]
        if not users:
            return ()
        known = await self._presence.announced(users)
        return (PresenceBatch(tuple(UserStatus(presence.user_id, presence.status) for presence in known)),)

    def announce(self, announcements: Iterable[Presence]) -> None:
        """Publishes what a tick has found to announce."""
        for presence in announcements:
            self.bus.publish(PresenceUpdate(presence.user_id, presence.status, last_seen_at(presence.last_seen)))
