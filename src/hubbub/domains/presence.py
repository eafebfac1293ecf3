"""Presence on the wire: a subscription to users is answered with a snapshot of their status.

Changes of presence do not pass through here: see `hubbub.presence.announcer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubbub.context import Context
from hubbub.contract.events import PRESENCE_EVENTS, PresenceBatch, UserStatus
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic
from hubbub.domains.base import Domain
from hubbub.presence.base import PresenceStore


class PresenceDomain(Domain):
    """Tells subscribers of `user` topics who is online."""

    events = PRESENCE_EVENTS

    def __init__(self, presence: PresenceStore) -> None:
        self._presence = presence

    async def snapshot(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[ServerEvent]:
        """Return the announced status of the users newly subscribed to, in one batch."""
        users = [topic.id for topic in topics if topic.kind == "user"]
        if not users:
            return ()
        known = await self._presence.announced(users)
        return (PresenceBatch(tuple(UserStatus(presence.user_id, presence.status) for presence in known)),)
