"""What every store of presence promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from hubbub.brokers.base import Publication
from hubbub.presence.tracker import Presence

#: Is told users who went offline and when they were last seen, in seconds since the epoch: by one node, once.
Left: TypeAlias = Callable[[Mapping[str, float]], None]


class PresenceStore(Protocol):
    """Counts the sockets of users and derives their status, for one process or for many nodes together.

    The status is online while a socket exists anywhere. It changes at once and is announced on a tick, at most once
    per user and tick; offline only after a while without a socket. ``last_seen`` is in seconds since the epoch.
    """

    is_shared: bool
    """Whether other nodes count too, so that a user whose socket closes here may be on another."""

    async def start(self, left: Left) -> None:
        """Begins; ``left`` is called on the event loop."""

    async def stop(self) -> Mapping[str, float]:
        """Ends, and gives when each user known here was last seen."""

    def connect(self, user_id: str) -> None:
        """Counts a socket that was registered here. Never waits."""

    def disconnect(self, user_id: str) -> None:
        """Counts a registered socket that is gone. Never waits."""

    def touch(self, user_id: str) -> bool:
        """Records activity of a user with a socket here; tells whether there is one. Never waits."""

    def tick(self) -> Sequence[Presence]:
        """Moves on; gives the changes that this node has to publish: none, where the store publishes them itself."""

    def observe(self, publication: Publication) -> bool:
        """Is shown every ``server.presence.update`` that arrives; says whether it is news and is to be delivered."""

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Gives the announced status of users, in the order asked; raises Unavailable where they cannot be read."""
