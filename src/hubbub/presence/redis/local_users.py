"""What one of many nodes holds of its users, and what of that is not yet written where all nodes see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, takewhile
from typing import Literal, NamedTuple, TypeAlias

#: A node's part in a user's status. ``new``: the first socket here, and no activity since. ``visit``: sockets that came
#: and went between two rounds of writing, so that nobody else has heard of them.
Share: TypeAlias = Literal["online", "away", "new", "visit"]


class Claim(NamedTuple):
    """What is to be written of one user: how many sockets are here, and their share in the status.

    seen: when the user was seen here: left, where no socket is left, else active. In the tracker's time.
    """

    user_id: str
    sockets: int
    share: Share
    seen: float


class Debt(NamedTuple):
    """A user whom nobody has a socket of, whose end this node has to announce unless somebody comes back.

    epoch: since when, by the store. seen, due: in the tracker's time.
    """

    user_id: str
    epoch: int
    seen: float
    due: float


class _User:
    __slots__ = ("active_at", "is_known", "is_new", "left_at", "sockets", "written")

    def __init__(self, now: float) -> None:
        self.sockets = 0
        self.active_at = now
        self.left_at = now
        self.is_new = True
        self.is_known = False  # something may have been written, so the end has to be written too
        self.written: tuple[int, str] | None = None  # what is stored, as far as is known


class LocalUsers:
    """Counts the sockets of this node, and derives its share in each user's status. Pure: the time is handed in.

    away_after, offline_after: as in Tracker. tick: the time between two rounds of writing; an end waits so much longer,
    since whoever has come back on another node within ``offline_after`` is written there one tick later at the latest.
    bucket_of: sorts users into buckets, which are verified one at a time.
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
        self._unwritten: dict[str, None] = {}  # users of whom something else may be stored
        self._debts: dict[str, Debt] = {}

    def __len__(self) -> int:
        return len(self._users)

    # --- what happens here --------------------------------------------------------------------------------------------

    def connect(self, user_id: str, now: float) -> None:
        """Counts a socket that was registered. For a user who was still there it is no activity: away stays away."""
        user = self._users.get(user_id)
        if user is None:
            user = self._add(user_id, now)
        if user.is_new and not user.sockets:
            user.active_at = now
            self._active.pop(user_id, None)
            self._active[user_id] = None
        if self._debts.pop(user_id, None) is not None:
            user.written = None  # the end is begun again, also where this socket is gone before it is written
        user.sockets += 1
        self._unwritten[user_id] = None

    def disconnect(self, user_id: str, now: float) -> None:
        """Counts a socket that is gone; every ``connect`` has exactly one."""
        user = self._users[user_id]
        user.sockets -= 1
        self._unwritten[user_id] = None
        if user.sockets == 0:
            user.left_at = now

    def touch(self, user_id: str, now: float) -> bool:
        """Records activity of a user; without a socket here it changes nothing, and says so."""
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
        """Finds the users who have become away."""
        due = takewhile(lambda user_id: now - self._users[user_id].active_at >= self._away_after, self._active)
        for user_id in list(due):
            del self._active[user_id]
            self._users[user_id].is_new = False
            if self._users[user_id].sockets:
                self._unwritten[user_id] = None

    # --- what is written ----------------------------------------------------------------------------------------------

    def claims(self, most: int) -> list[Claim]:
        """Gives what is to be written, and forgets that it is: what fails comes back with ``failed``."""
        claims: list[Claim] = []
        while not claims and self._unwritten:
            claims += self._claims(list(islice(self._unwritten, most)))
        return claims

    def _claims(self, user_ids: Iterable[str]) -> Iterator[Claim]:
        for user_id in user_ids:
            del self._unwritten[user_id]
            user = self._users[user_id]
            if not self._is_written(user_id, user):
                share = self._share_of(user_id)
                if user.sockets == 0 and not user.is_known:
                    share = "visit"
                elif user.sockets and user.is_new:
                    share = "new"
                user.is_known, user.written = user.is_known or user.sockets > 0, None
                yield Claim(user_id, user.sockets, share, user.active_at if user.sockets else user.left_at)

    def failed(self, claims: Iterable[Claim]) -> None:
        """Takes back what was not written, or perhaps was."""
        for claim in claims:
            if claim.user_id in self._users:
                self._unwritten[claim.user_id] = None

    def present(self, claim: Claim, share: Share) -> None:
        """Takes in that a claim is written, and as which share."""
        user = self._users[claim.user_id]
        if claim.share == "new" and user.is_new:  # nothing has happened since
            user.is_new = False
            if share == "away":
                self._active.pop(claim.user_id, None)
        self._written(claim, (claim.sockets, share))

    def leaving(self, claim: Claim, epoch: int, now: float) -> None:
        """Takes in that nobody has a socket of a user any more, and that this node owes the end."""
        user = self._users[claim.user_id]
        user.is_known = True
        if user.sockets == 0:
            since = max(user.left_at, now - self._tick)  # after an outage others need the time to write who came back
            self._debts[claim.user_id] = Debt(
                claim.user_id, epoch, user.left_at, since + self._offline_after + self._tick
            )
        self._written(claim, (0, claim.share))

    def gone(self, claim: Claim) -> None:
        """Takes in that nothing is stored of a user, and that this node owes nothing."""
        self._written(claim, (0, claim.share))

    def _written(self, claim: Claim, share: tuple[int, str]) -> None:
        user = self._users[claim.user_id]
        user.written = share
        if not self._is_written(claim.user_id, user):  # it has changed meanwhile
            self._unwritten[claim.user_id] = None
        elif user.sockets == 0 and claim.user_id not in self._debts:
            self._forget(claim.user_id)

    # --- the end of users ---------------------------------------------------------------------------------------------

    def due(self, now: float) -> list[Debt]:
        """Gives the ends that are due; what becomes of each is told by ``settled`` or ``lost``, or it stays due."""
        return list(takewhile(lambda debt: debt.due <= now, self._debts.values()))

    def settled(self, debt: Debt) -> None:
        """Takes in that an end was announced, or that somebody has come back elsewhere."""
        if self._debts.get(debt.user_id) is debt:
            self._forget(debt.user_id)

    def lost(self, debt: Debt) -> None:
        """Takes in that the store knows nothing of a user whose end is due: it is begun again."""
        if self._debts.get(debt.user_id) is debt:
            del self._debts[debt.user_id]
            self._rewrite(debt.user_id)

    # --- what is stored may be wrong ----------------------------------------------------------------------------------

    def begin_again(self) -> None:
        """Takes in that nothing is stored of this node: everything is to be written."""
        self._debts.clear()
        for user_id in self._users:
            self._rewrite(user_id)

    def differ(self, user_ids: Iterable[str], seen: float) -> None:
        """Takes in that something else is stored of users; those who are not here have to be ended.

        seen: when those were seen, in the tracker's time.
        """
        for user_id in user_ids:
            if user_id not in self._users:
                self._add(user_id, seen).is_known = True
            self._rewrite(user_id)

    def stored(self, bucket: int) -> Iterator[tuple[str, str]]:
        """Gives the users of a bucket, and of each what should be stored: ``<sockets>:<share>``, or "" to leave it."""
        for user_id in self._buckets[bucket]:
            user = self._users[user_id]
            is_open = user_id in self._unwritten or not user.written or not user.written[0]
            yield user_id, "" if is_open or not user.written else f"{user.written[0]}:{user.written[1]}"

    def last_seen_now(self, now: float) -> dict[str, float]:
        """Gives when each user here was last seen, taking those with a socket as seen now: for the end of a run."""
        return {user_id: now if user.sockets else user.left_at for user_id, user in self._users.items()}

    # --- details ------------------------------------------------------------------------------------------------------

    def _share_of(self, user_id: str) -> Share:
        return "online" if user_id in self._active else "away"

    def _is_written(self, user_id: str, user: _User) -> bool:
        if user.written is None or user.sockets == 0:
            return user.written is not None and user.written[0] == 0
        return user.written == (user.sockets, self._share_of(user_id))

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
        self._debts.pop(user_id, None)
