"""Presence as a pure state machine: no I/O, and the time is passed in."""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from hubbub.contract.events import Status


class Presence(NamedTuple):
    """One user's status. `last_seen` is in the time of its source; None while online, or if it is not known."""

    user_id: str
    status: Status
    last_seen: float | None


class _User:
    """A user with a socket, or one whose offline is not announced yet."""

    __slots__ = ("active_at", "announced", "left_at", "sockets")

    def __init__(self, now: float) -> None:
        self.sockets = 0
        self.active_at = now
        self.left_at = now
        self.announced: Status = "offline"


class Tracker:
    """Counts sockets per user, and derives the status from counts and activity.

    The state changes at once. Changes are announced by `tick`: at most one per user and tick, and only if the status
    differs from the last one announced. `offline` is announced only after a while without a socket, so that the
    reload of a page is silent. All times are seconds of a clock that never goes back.

    Args:
        away_after: Seconds without activity after which a user is away.
        offline_after: Seconds without a socket after which a user is announced offline.
    """

    def __init__(self, *, away_after: float, offline_after: float) -> None:
        self._away_after = away_after
        self._offline_after = offline_after
        self._users: dict[str, _User] = {}
        # Both are in order of time, since a user moves to the end when it changes: a tick looks at the front only.
        self._active: dict[str, None] = {}  # users who are not away, by their last activity
        self._leaving: dict[str, None] = {}  # users without a socket, by the closing of the last one
        self._changed: dict[str, None] = {}  # users whose status may differ from the announced one

    def __len__(self) -> int:
        return len(self._users)

    def connect(self, user_id: str, now: float) -> None:
        """Count a socket that was registered. For a user who was still here it is no activity: away stays away."""
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User(now)
            self._active[user_id] = None
            self._changed[user_id] = None
        elif user.sockets == 0:
            del self._leaving[user_id]
            self._changed[user_id] = None
        user.sockets += 1

    def disconnect(self, user_id: str, now: float) -> None:
        """Count a socket that is gone; every `connect` has exactly one."""
        user = self._users[user_id]
        user.sockets -= 1
        if user.sockets == 0:
            user.left_at = now
            self._leaving[user_id] = None

    def touch(self, user_id: str, now: float) -> bool:
        """Record activity of a user and return True; without a socket, change nothing and return False."""
        user = self._users.get(user_id)
        if user is None or user.sockets == 0:
            return False
        user.active_at = now
        if user_id in self._active:
            del self._active[user_id]
        else:
            self._changed[user_id] = None
        self._active[user_id] = None
        return True

    def tick(self, now: float) -> list[Presence]:
        """Return the changes that are due; from now on they count as announced."""
        self._find_away(now)
        self._find_offline(now)
        changes = []
        for user_id in self._changed:
            user = self._users[user_id]
            status = self._status(user_id, user)
            if status != user.announced:
                user.announced = status
                changes.append(self._presence(user_id, user))
            if status == "offline":
                self._forget(user_id)
        self._changed.clear()
        return changes

    def announced(self, user_id: str) -> Presence:
        """Return the status last announced for a user. Snapshots report it, so that no later change is missed."""
        user = self._users.get(user_id)
        return Presence(user_id, "offline", None) if user is None else self._presence(user_id, user)

    def last_seen_now(self, now: float) -> dict[str, float]:
        """Return when each known user was last seen; a user with a socket is seen now. For the end of a run."""
        return {user_id: now if user.sockets else user.left_at for user_id, user in self._users.items()}

    def _find_away(self, now: float) -> None:
        due = takewhile(lambda user_id: now - self._users[user_id].active_at >= self._away_after, self._active)
        for user_id in list(due):
            del self._active[user_id]
            self._changed[user_id] = None

    def _find_offline(self, now: float) -> None:
        due = takewhile(lambda user_id: now - self._users[user_id].left_at >= self._offline_after, self._leaving)
        for user_id in list(due):
            del self._leaving[user_id]
            self._changed[user_id] = None

    def _status(self, user_id: str, user: _User) -> Status:
        if user.sockets:
            return "online" if user_id in self._active else "away"
        # Between the end of the last socket and its announcement, the announced status stands.
        return user.announced if user_id in self._leaving else "offline"

    def _forget(self, user_id: str) -> None:
        del self._users[user_id]
        self._active.pop(user_id, None)
        self._leaving.pop(user_id, None)

    @staticmethod
    def _presence(user_id: str, user: _User) -> Presence:
        if user.announced == "online":
            return Presence(user_id, "online", None)
        return Presence(user_id, user.announced, user.left_at if user.sockets == 0 else user.active_at)
