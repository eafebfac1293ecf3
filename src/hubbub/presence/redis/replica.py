"""A node's copy of the presence of watched users: versioned, and corrected if it is wrong.

The copy answers snapshots without a question to Redis. Every entry rests on three things (docs/decisions/0007):
changes arrive by pub/sub and carry a version, so an older one never replaces a newer one; an entry counts as valid only
after it was read once the subscription was confirmed; and each entry is read again after a gap, and once a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from hubbub.contract.events import Status
from hubbub.contract.topics import Interest, Topic
from hubbub.presence.tracker import Presence

REFRESH_SECONDS: Final = 60.0
"""The time after which an entry is compared with what is stored."""

MISSING_SECONDS: Final = 75.0
"""How long nothing may be stored of a user who counts as present. It is longer than the node that has the user's socket
needs to find out and write it again."""

MISSING_AFTER_RESET_SECONDS: Final = 10.0
"""The same after the store has lost its data, which every node notices at its next renewal."""

LATE_SECONDS: Final = 10.0
"""How late the second read may be. A later one follows an outage, after which every node writes its users first."""


class Freshness(Enum):
    """How an arriving change compares with what is known."""

    NEW = "new"
    REPEATED = "repeated"  # the status is known already
    OLD = "old"  # a newer change has arrived


class Stored(NamedTuple):
    """What is stored of a user: what was last announced. `last_seen` is in seconds since the epoch."""

    status: Status
    version: int
    last_seen: float | None


class Entry:
    """What is known of one user."""

    __slots__ = ("freshness", "is_valid", "last_seen", "missing_since", "status", "version")

    def __init__(self) -> None:
        self.status: Status | None = None  # None: no listener here has heard anything
        self.version = -1
        self.last_seen: float | None = None
        self.freshness = Freshness.NEW  # of the change with this version, when it arrived
        self.is_valid = False  # it was read, and nothing was missed since
        self.missing_since: float | None = None


class Replica:
    """Follows the announced presence of users who are listened to. Pure: the time is passed in.

    A change about a user reaches a node by two ways, the user's topic and the user's own channel. An entry lives as
    long as the node listens to one of them.

    Args:
        has_listeners: Returns whether anything here listens to a topic, or to a user.
    """

    def __init__(self, has_listeners: Callable[[Interest], bool]) -> None:
        self._has_listeners = has_listeners
        self._entries: dict[str, Entry] = {}
        self._stale: dict[str, None] = {}
        self._missing: dict[str, float] = {}  # when to look again
        self._read_at: dict[str, float] = {}  # in order of time
        self._now = 0.0
        self._reset_at = float("-inf")

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, user_id: str) -> Presence | None:
        """Return what is known of a user for sure; None if it has to be read."""
        entry = self._entries.get(user_id)
        return None if entry is None or not entry.is_valid else _presence(user_id, entry)

    def begin_read(self, user_id: str) -> Entry | None:
        """Prepare to read a user; return what to pass to `absorb`. None if nobody listens."""
        return self._entry(user_id)

    def observe(self, presence: Presence, version: int) -> Freshness:
        """Apply a change that has arrived. Applying the same change twice is a no-op, with the same result."""
        entry = self._entry(presence.user_id)
        if entry is None:
            return Freshness.NEW
        if version == entry.version:
            return entry.freshness
        if version < entry.version:
            return Freshness.OLD
        entry.freshness = Freshness.REPEATED if entry.status == presence.status else Freshness.NEW
        entry.status, entry.version, entry.last_seen = presence.status, version, presence.last_seen
        entry.missing_since = None
        return entry.freshness

    def absorb(
        self, user_id: str, stored: Stored | None, expected: Entry | None, now: float
    ) -> tuple[Presence, int | None]:
        """Apply what was read.

        Args:
            user_id: The user.
            stored: What is stored; None if nothing is.
            expected: What `begin_read` returned before the read.
            now: The time.

        Returns:
            The status to report, and its version if listeners here have missed the change; otherwise None.
        """
        entry = self._entries.get(user_id)
        if entry is None or entry is not expected:  # nobody has listened without a break since the read began
            return (
                Presence(user_id, "offline", None)
                if stored is None
                else _presence_of(user_id, stored.status, stored.last_seen)
            ), None
        entry.is_valid = True
        if stored is None:
            return self._absorb_nothing(user_id, entry, now)
        entry.missing_since = None
        if stored.version > entry.version:
            # Listeners here have missed this change. The entry stays as it is: the caller delivers the change through
            # `observe`, which must still find it new.
            if entry.status not in (None, stored.status):
                return _presence_of(user_id, stored.status, stored.last_seen), stored.version
            # Its own publication may still be under way, and the user's own sockets have heard nothing yet.
            entry.freshness = Freshness.NEW if entry.status is None else Freshness.REPEATED
            entry.status, entry.version, entry.last_seen = stored.status, stored.version, stored.last_seen
        return _presence(user_id, entry), None

    def delivered(self, user_id: str, version: int) -> None:
        """Record that all listeners here have heard a change that was read. Its publication may still arrive."""
        entry = self._entries.get(user_id)
        if entry is not None and entry.version == version:
            entry.freshness = Freshness.REPEATED

    def forget(self, interests: Iterable[Interest]) -> None:
        """Forget users without a listener here."""
        for interest in interests:
            if isinstance(interest, str) or interest.kind == "user":
                user_id = interest if isinstance(interest, str) else interest.id
                if user_id in self._entries and not self._is_heard(user_id):
                    del self._entries[user_id], self._read_at[user_id]

    def mark_stale(self, interests: Iterable[Interest] | None = None) -> None:
        """Record that changes may have been missed; None means of all users."""
        if interests is None:
            users: Iterable[str] = list(self._entries)
        else:
            users = [
                interest if isinstance(interest, str) else interest.id
                for interest in interests
                if isinstance(interest, str) or interest.kind == "user"
            ]
        for user_id in users:
            entry = self._entries.get(user_id)
            if entry is not None:
                entry.is_valid = False
                self._stale[user_id] = None  # `due` skips users that are forgotten by then

    def store_was_reset(self, now: float) -> None:
        """Record that the store may have lost its data: read everything again."""
        self._reset_at = now
        self._missing.clear()
        for entry in self._entries.values():
            entry.missing_since = None  # it says nothing about now
        self.mark_stale()

    def due(self, now: float, limit: int) -> list[str]:
        """Return users to read again: stale ones, missing ones, and those that were not read for a minute."""
        due = list(islice(self._stale, limit))
        for user_id in due:
            del self._stale[user_id]
        for user_id, when in list(islice(self._missing.items(), limit)):
            if when > now:
                break
            del self._missing[user_id]
            due.append(user_id)
        self._now = now
        for user_id, when in islice(self._read_at.items(), limit):
            if now - when < REFRESH_SECONDS:
                break
            due.append(user_id)
        due = [user_id for user_id in dict.fromkeys(due) if user_id in self._entries]
        for user_id in due:
            self._was_read(user_id)
        return due

    def _absorb_nothing(self, user_id: str, entry: Entry, now: float) -> tuple[Presence, int | None]:
        """Decide about a user without a stored status: offline, or present on a node that has not written it yet.

        A user who counts as present stays so for a while, in which the node with the user's socket finds out that
        nothing is stored. Only a second read, soon after that time, ends it.
        """
        if entry.status is None:
            entry.status = "offline"
        if entry.status == "offline":
            return _presence(user_id, entry), None
        since = now if entry.missing_since is None else entry.missing_since
        patience = MISSING_AFTER_RESET_SECONDS if since - self._reset_at < MISSING_SECONDS else MISSING_SECONDS
        # Nothing is stored, so no version is either: the next one is newer than all that listeners here have heard, and
        # older than any that a node stores when the user comes back, which begin with its time.
        if patience <= now - since <= patience + LATE_SECONDS:
            return Presence(user_id, "offline", None), entry.version + 1
        if now - since > patience:
            since = now
        entry.missing_since = since
        self._missing.setdefault(user_id, since + patience)
        return _presence(user_id, entry), None

    def _entry(self, user_id: str) -> Entry | None:
        entry = self._entries.get(user_id)
        if entry is None and self._is_heard(user_id):
            entry = self._entries[user_id] = Entry()
            self._was_read(user_id)
        return entry

    def _was_read(self, user_id: str) -> None:
        self._read_at.pop(user_id, None)
        self._read_at[user_id] = self._now

    def _is_heard(self, user_id: str) -> bool:
        return self._has_listeners(user_id) or self._has_listeners(Topic("user", user_id))


def _presence(user_id: str, entry: Entry) -> Presence:
    return _presence_of(user_id, entry.status or "offline", entry.last_seen)


def _presence_of(user_id: str, status: Status, last_seen: float | None) -> Presence:
    return Presence(user_id, status, None if status == "online" else last_seen)
