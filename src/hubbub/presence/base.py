"""What every store of presence promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hubbub.brokers.base import Publication
from hubbub.contract.events import Status
from hubbub.contract.topics import Interest
from hubbub.presence.tracker import Presence


@dataclass(frozen=True, slots=True)
class PresenceState:
    """One user's announced status."""

    user_id: str
    """Whose status it is."""

    status: Status
    """The status that was last announced."""

    last_seen_at: datetime | None
    """When the user was last seen, in UTC. None while online, and if the user went offline before this process began,
    or long ago."""


class PresenceOutput(Protocol):
    """Receives the changes that a store finds. A store calls it on the event loop; no method waits.

    Every change of status is one publication, made by `publication_of`, and reaches sockets in one way: through the
    node's delivery, which asks the store's `observe` first.
    """

    def publish(self, updates: Iterable[Publication]) -> None:
        """Publish changes to every node, some at once, and the rest in slices that let other work get its turn."""

    def deliver(self, update: Publication) -> None:
        """Deliver a change that only this node's sockets have missed."""

    def on_offline(self, last_seen: Mapping[str, float]) -> None:
        """Report users who went offline, with when they were last seen, in seconds since the epoch.

        One node reports each user, once.
        """

    def has_listeners(self, interest: Interest) -> bool:
        """Return whether a socket on this node is subscribed to a topic, or belongs to a user."""


class PresenceStore(Protocol):
    """Counts the sockets of users and derives their status, for one process or for many nodes together.

    A user is online while a socket exists anywhere. The status changes at once; changes are announced on a tick, at
    most one per user and tick, and offline only after a while without a socket. All `last_seen` are in seconds since
    the epoch.

    A change is announced once, by one node: `publication_of` makes the publication, with a version that rises with
    every change of the user, on whatever node. It goes out through `PresenceOutput.publish`, or a store publishes it
    itself in the same step in which it stores the change; then it needs a broker on every node that delivers it.

    All methods are called on the event loop of `start`. A store may be started again after a `start` that raised.
    """

    is_shared: bool
    """Whether other nodes count too, so that a user whose last socket here closes may still be online. If not, a node
    that drains announces nobody as offline, and activity is not reported to other nodes."""

    async def start(self, output: PresenceOutput) -> None:
        """Start.

        Raises:
            ConfigurationError: It cannot connect; the message names the remedy.
        """

    async def stop(self) -> Mapping[str, float]:
        """Stop within a few seconds, and return when each user known here was last seen."""

    def connect(self, user_id: str) -> None:
        """Count a socket that was registered on this node. Never waits."""

    def disconnect(self, user_id: str) -> None:
        """Count a registered socket that is gone, once for each `connect`. Never waits."""

    def touch(self, user_id: str) -> bool:
        """Record activity of a user, and return whether the user has a socket on this node. Never waits."""

    def tick(self) -> None:
        """Announce the changes that are due and that no other node announces. Called regularly; never waits."""

    def start_round(self) -> None:
        """Start to write what has changed here to shared storage, unless that is under way. Never waits."""

    def observe(self, publication: Publication) -> bool:
        """Look at a change of status that has arrived; return whether it is new here, and to be delivered.

        The node's own changes arrive too. A change that arrives twice is not new the second time.
        """

    async def announced(self, user_ids: Iterable[str]) -> list[Presence]:
        """Return the announced status of users, in the order asked; a user who was never announced is offline.

        It is what was last announced, which may lag behind the sockets by a tick, so that snapshots and changes agree.

        Raises:
            Unavailable: It cannot be read at the moment.
        """

    def on_loss(self, interests: Iterable[Interest] | None) -> None:
        """Handle that changes may have been lost on the way to this node; None means for every interest."""

    def forget(self, interests: Iterable[Interest]) -> None:
        """Forget what was kept for interests that nobody on this node listens to any more."""
