"""The users of one of many nodes, and which of their changes are not yet written to where all nodes see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from typing import Literal, NamedTuple, TypeAlias

LocalStatus: TypeAlias = Literal["online", "away", "new", "transient"]
"""A node's part in a user's status. `new`: the first socket here, and no activity since. `transient`: sockets that came
and went between two rounds of writing, so that no other node has heard of them.
"""


class PendingWrite(NamedTuple):
    """What is to be written about one user."""

    user_id: str
    sockets: int
    """How many sockets are here."""

    status: LocalStatus
    seen: float
    """When the user was seen here, in the tracker's time: active, or gone if no socket is left."""


class PendingOffline(NamedTuple):
    """A user without a socket on any node. This node announces the user offline, unless the user comes back."""

    user_id: str
    epoch: int
    """Since when, by the store."""

    seen: float
    """When the user was last seen, in the tracker's time."""

    due: float
    """When to announce it, in the tracker's time."""


class _User:
    __slots__ = ("active_at", "is_known", "is_new", "left_at", "sockets", "written")

    def __init__(self, now: float) -> None:
        self.sockets = 0
        self.active_at = now
        self.left_at = now
        self.is_new = True
        self.is_known = False  # something may have been written, so the end has to be written too
        self.written: tuple[int, str] | None = None  # what is stored, as far as this node knows


class LocalUsers:
    """Counts the sockets of this node, and derives its part in each user's status. Pure: the time is passed in.

    Args:
        away_after: As in `Tracker`.
        offline_after: As in `Tracker`.
        tick: Seconds between two rounds of writing. Offline waits so much longer: a user who came back on another node
            within `offline_after` is written there one tick later at the latest.
        bucket_of: Sorts users into buckets, which are verified one at a time.
        buckets: The number of buckets.
    """

    def __init__(
        self, *, away_after: float, offline_after: float, tick: float, bucket_of: Callable[[str], int], buckets: int
    ) -> None:
        self._away_after = away_after
        self._offline_after = offline_after
        self._tick = tick
        self._bucket_of = bucket_of
        self._users: dict[str, _User] = {}
        self._buckets: list[set[str]] = [set() for _ in range(buckets)]
        self._active: dict[str, None] = {}  # users who are not away, by their last activity
        self._unwritten: dict[str, None] = {}  # users that may be stored differently
        self._offline: dict[str, PendingOffline] = {}

    def __len__(self) -> int:
        return len(self._users)

    # --- what happens here --------------------------------------------------------------------------------------------

    def connect(self, user_id: str, now: float) -> None:
        """Count a socket that was registered. For a user who was still here it is no activity: away stays away."""
        user = self._users.get(user_id)
        if user is None:
            user = self._add(user_id, now)
        if user.is_new and not user.sockets:
            user.active_at = now
            self._active.pop(user_id, None)
            self._active[user_id] = None
        if self._offline.pop(user_id, None) is not None:
            user.written = None  # offline starts again, even if this socket is gone before it is written
        user.sockets += 1
        self._unwritten[user_id] = None

    def disconnect(self, user_id: str, now: float) -> None:
        """Count a socket that is gone; every `connect` has exactly one."""
        user = self._users[user_id]
        user.sockets -= 1
        self._unwritten[user_id] = None
        if user.sockets == 0:
            user.left_at = now

    def touch(self, user_id: str, now: float) -> bool:
        """Record activity of a user and return True; without a socket here, change nothing and return False."""
        user = self._users.get(user_id)
        if user is None or user.sockets == 0:
            return False
        user.active_at = now
        user.is_new = False
        if user_id in self._active:
            del self._active[user_id]
        else:
            self._unwritten[user_id] = None
        self._active[user_id] = None
        return True

    def find_away(self, now: float) -> None:
        """Find the users who have become away."""
        due = takewhile(lambda user_id: now - self._users[user_id].active_at >= self._away_after, self._active)
        for user_id in list(due):
            del self._active[user_id]
            self._users[user_id].is_new = False
            if self._users[user_id].sockets:
                self._unwritten[user_id] = None

    # --- writing ------------------------------------------------------------------------------------------------------

    def take_writes(self, limit: int) -> list[PendingWrite]:
        """Return what is to be written, and forget it; report what becomes of each write."""
        writes: list[PendingWrite] = []
        while not writes and self._unwritten:
            writes += self._writes(list(islice(self._unwritten, limit)))
        return writes

    def _writes(self, user_ids: Iterable[str]) -> Iterator[PendingWrite]:
        for user_id in user_ids:
            del self._unwritten[user_id]
            user = self._users[user_id]
            if not self._is_written(user_id, user):
                status = self._status_of(user_id)
                if user.sockets == 0 and not user.is_known:
                    status = "transient"
                elif user.sockets and user.is_new:
                    status = "new"
                user.is_known, user.written = user.is_known or user.sockets > 0, None
                yield PendingWrite(user_id, user.sockets, status, user.active_at if user.sockets else user.left_at)

    def write_failed(self, writes: Iterable[PendingWrite]) -> None:
        """Take back what was not written, or perhaps was."""
        for write in writes:
            if write.user_id in self._users:
                self._unwritten[write.user_id] = None

    def wrote_present(self, write: PendingWrite, status: LocalStatus) -> None:
        """Record that a user with a socket somewhere is written, and with which status of this node."""
        user = self._users[write.user_id]
        if write.status == "new" and user.is_new:  # nothing has happened since
            user.is_new = False
            if status == "away":
                self._active.pop(write.user_id, None)
        self._written(write, (write.sockets, status))

    def wrote_leaving(self, write: PendingWrite, epoch: int, now: float) -> None:
        """Record that nobody has a socket of a user any more, and that this node is to announce offline."""
        user = self._users[write.user_id]
        user.is_known = True
        if user.sockets == 0:
            since = max(user.left_at, now - self._tick)  # after an outage others need the time to write who came back
            due = since + self._offline_after + self._tick
            self._offline[write.user_id] = PendingOffline(write.user_id, epoch, user.left_at, due)
        self._written(write, (0, write.status))

    def wrote_gone(self, write: PendingWrite) -> None:
        """Record that this node has nothing stored of a user, and nothing to announce."""
        self._written(write, (0, write.status))

    def _written(self, write: PendingWrite, stored: tuple[int, str]) -> None:
        user = self._users[write.user_id]
        user.written = stored
        if not self._is_written(write.user_id, user):  # it has changed since
            self._unwritten[write.user_id] = None
        elif user.sockets == 0 and write.user_id not in self._offline:
            self._forget(write.user_id)

    # --- users who go offline -----------------------------------------------------------------------------------------

    def due_offline(self, now: float) -> list[PendingOffline]:
        """Return the users to announce offline; each stays due until `offline_done` or `offline_unknown`."""
        return list(takewhile(lambda offline: offline.due <= now, self._offline.values()))

    def offline_done(self, offline: PendingOffline) -> None:
        """Record that offline was announced, or that the user has come back elsewhere."""
        if self._offline.get(offline.user_id) is offline:
            self._forget(offline.user_id)

    def offline_unknown(self, offline: PendingOffline) -> None:
        """Record that the store knows nothing of a user who is to be announced offline: write the user again."""
        if self._offline.get(offline.user_id) is offline:
            del self._offline[offline.user_id]
            self._rewrite(offline.user_id)

    # --- what is stored may be wrong ----------------------------------------------------------------------------------

    def rewrite_all(self) -> None:
        """Record that nothing is stored of this node: everything is to be written."""
        self._offline.clear()
        for user_id in self._users:
            self._rewrite(user_id)

    def rewrite(self, user_ids: Iterable[str], seen: float) -> None:
        """Record that something else is stored of users. Those who are not here are to be announced offline.

        Args:
            user_ids: The users.
            seen: When the users who are not here were last seen, in the tracker's time.
        """
        for user_id in user_ids:
            if user_id not in self._users:
                self._add(user_id, seen).is_known = True
            self._rewrite(user_id)

    def expected_in(self, bucket: int) -> Iterator[tuple[str, str]]:
        """Yield the users of a bucket, with what should be stored: `<sockets>:<status>`, or "" to leave it alone."""
        for user_id in self._buckets[bucket]:
            user = self._users[user_id]
            is_open = user_id in self._unwritten or not user.written or not user.written[0]
            yield user_id, "" if is_open or not user.written else f"{user.written[0]}:{user.written[1]}"

    def last_seen_now(self, now: float) -> dict[str, float]:
        """Return when each user here was last seen; a user with a socket is seen now. For the end of a run."""
        return {user_id: now if user.sockets else user.left_at for user_id, user in self._users.items()}

    # --- details ------------------------------------------------------------------------------------------------------

    def _status_of(self, user_id: str) -> LocalStatus:
        return "online" if user_id in self._active else "away"

    def _is_written(self, user_id: str, user: _User) -> bool:
        if user.written is None or user.sockets == 0:
            return user.written is not None and user.written[0] == 0
        return user.written == (user.sockets, self._status_of(user_id))

    def _rewrite(self, user_id: str) -> None:
        self._users[user_id].written = None
        self._unwritten[user_id] = None

    def _add(self, user_id: str, now: float) -> _User:
        user = self._users[user_id] = _User(now)
        self._buckets[self._bucket_of(user_id)].add(user_id)
        return user

    def _forget(self, user_id: str) -> None:
        del self._users[user_id]
        self._buckets[self._bucket_of(user_id)].discard(user_id)
        self._active.pop(user_id, None)
        self._unwritten.pop(user_id, None)
        self._offline.pop(user_id, None)
