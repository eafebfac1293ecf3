"""What a node knows of users whom somebody on it watches: by version, and corrected where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple

from hubbub.contract.events import Status
from hubbub.contract.topics import Interest, Topic
from hubbub.presence.tracker import Presence

REFRESH_SECONDS: Final = 60.0
"""The time after which what is known of a user is compared with what is stored."""

MISSING_SECONDS: Final = 75.0
"""How long nothing may be stored of somebody who is believed to be there: longer than it takes the node that has a
socket of theirs to find out."""

MISSING_AFTER_LOSS_SECONDS: Final = 10.0
"""The same after all was lost, which every node notices at its next beat."""

LATE_SECONDS: Final = 10.0
"""How late the second look may be. Later than that there was an outage, after which everybody is written first."""


class News(Enum):
    """What an arriving change is."""

    NEWS = "news"
    REPEATED = "repeated"  # the status is known already
    OLD = "old"  # a newer one has arrived


class Stored(NamedTuple):
    """What is stored of a user: what was last announced. ``last_seen``: seconds since the epoch."""

    status: Status
    version: int
    last_seen: float | None


class Entry:
    """What is known of one user."""

    __slots__ = ("is_valid", "last", "last_seen", "missing_since", "status", "version")

    def __init__(self) -> None:
        self.status: Status | None = None  # None: nobody here was told anything
        self.version = -1
        self.last_seen: float | None = None
        self.last = News.NEWS  # what the change of this version was
        self.is_valid = False  # nothing was missed since it was read
        self.missing_since: float | None = None


class Replica:
    """Follows the announced presence of users. Pure: the time is handed in.

    hears: tells whether anything here listens to a topic, or to a user. What is published of a user reaches a node by
    both ways, so an entry lives as long as there is one of them.
    """

    def __init__(self, hears: Callable[[Interest], bool]) -> None:
        self._hears = hears
        self._entries: dict[str, Entry] = {}
        self._doubted: dict[str, None] = {}
        self._missing: dict[str, float] = {}  # when to look again
        self._read_at: dict[str, float] = {}  # in order of time
        self._now = 0.0
        self._lost_all_at = float("-inf")

    def __len__(self) -> int:
        return len(self._entries)

    def known(self, user_id: str) -> Presence | None:
        """Gives what is known of a user for sure; None where it has to be read."""
        entry = self._entries.get(user_id)
        return None if entry is None or not entry.is_valid else _presence(user_id, entry)

    def expect(self, user_id: str) -> Entry | None:
        """Is told that a user is about to be read; gives what to hand to ``absorb``. None where nobody listens."""
        return self._entry(user_id)

    def observe(self, presence: Presence, version: int) -> News:
        """Takes in a change that has arrived. A second copy of it is what the first one was."""
        entry = self._entry(presence.user_id)
        if entry is None:
            return News.NEWS
        if version == entry.version:
            return entry.last
        if version < entry.version:
            return News.OLD
        entry.last = News.REPEATED if entry.status == presence.status else News.NEWS
        entry.status, entry.version, entry.last_seen = presence.status, version, presence.last_seen
        entry.missing_since = None
        return entry.last

    def absorb(
        self, user_id: str, stored: Stored | None, expected: Entry | None, now: float
    ) -> tuple[Presence, int | None]:
        """Takes in what was read; gives what to report, and its version where listeners here have missed the change.

        stored: None where nothing is stored. expected: what ``expect`` gave before the read.
        """
        entry = self._entries.get(user_id)
        if entry is None or entry is not expected:  # nobody listens, or has done so without a break
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
            if entry.status not in (None, stored.status):
                return _presence_of(user_id, stored.status, stored.last_seen), stored.version
            # Its own publication may still be under way: the user's own sockets were told nothing yet.
            entry.last = News.NEWS if entry.status is None else News.REPEATED
            entry.status, entry.version, entry.last_seen = stored.status, stored.version, stored.last_seen
        return _presence(user_id, entry), None

    def told(self, user_id: str, version: int) -> None:
        """Is told that all listeners here have been told a change that was read: its publication may still arrive."""
        entry = self._entries.get(user_id)
        if entry is not None and entry.version == version:
            entry.last = News.REPEATED

    def forget(self, interests: Iterable[Interest]) -> None:
        """Is told what nobody here listens to any more."""
        for interest in interests:
            if isinstance(interest, str) or interest.kind == "user":
                user_id = interest if isinstance(interest, str) else interest.id
                if user_id in self._entries and not self._is_heard(user_id):
                    del self._entries[user_id], self._read_at[user_id]

    def doubt(self, interests: Iterable[Interest] | None = None) -> None:
        """Is told that changes may have been missed: of some, or of all."""
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
                self._doubted[user_id] = None

    def lost_all(self, now: float) -> None:
        """Is told that the store may have lost everything: it is read again."""
        self._lost_all_at = now
        self._missing.clear()
        for entry in self._entries.values():
            entry.missing_since = None  # of now it says nothing
        self.doubt()

    def due(self, now: float, most: int) -> list[str]:
        """Gives users to read again: who is in doubt, who was missing, and who was not read for a minute."""
        due = list(islice(self._doubted, most))
        for user_id in due:
            del self._doubted[user_id]
        for user_id, when in list(islice(self._missing.items(), most)):
            if when > now:
                break
            del self._missing[user_id]
            due.append(user_id)
        self._now = now
        for user_id, when in islice(self._read_at.items(), most):
            if now - when < REFRESH_SECONDS:
                break
            due.append(user_id)
        due = [user_id for user_id in dict.fromkeys(due) if user_id in self._entries]
        for user_id in due:
            self._was_read(user_id)
        return due

    def _absorb_nothing(self, user_id: str, entry: Entry, now: float) -> tuple[Presence, int | None]:
        if entry.status is None:
            entry.status = "offline"
        if entry.status == "offline":
            return _presence(user_id, entry), None
        since = now if entry.missing_since is None else entry.missing_since
        patience = MISSING_AFTER_LOSS_SECONDS if since - self._lost_all_at < MISSING_SECONDS else MISSING_SECONDS
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
        return self._hears(user_id) or self._hears(Topic("user", user_id))


def _presence(user_id: str, entry: Entry) -> Presence:
    return _presence_of(user_id, entry.status or "offline", entry.last_seen)


def _presence_of(user_id: str, status: Status, last_seen: float | None) -> Presence:
    return Presence(user_id, status, None if status == "online" else last_seen)
