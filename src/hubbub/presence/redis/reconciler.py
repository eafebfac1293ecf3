"""What a node does for presence once a tick: beats, writes what has changed, ends what is due, buries the dead."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from hubbub.clock import Clock
from hubbub.metrics.stats import Stats
from hubbub.presence.redis.lease import Lease
from hubbub.presence.redis.local_users import Claim, Debt, LocalUsers
from hubbub.presence.redis.repository import Ledger
from hubbub.redis.channels import BUCKETS

logger = logging.getLogger("hubbub.presence")

BATCH: Final = 128
"""Users written before other work gets its turn: a few milliseconds."""

BUCKETS_PER_BATCH: Final = 32
"""Buckets that are looked at in one batch: to compare what is stored, or to bury somebody."""

VERIFY_SECONDS: Final = 60.0
"""The time over which everything this node has written is compared with what is stored, once."""

VERIFY_AFTER_FAILURE_SECONDS: Final = 10.0
"""The same after a failure: what was given up for lost may have been done later, and out of order."""

T = TypeVar("T")


class Fenced(Exception):
    """The node's incarnation was declared dead, or has lost its lease: the node takes another one."""


class Rounds:
    """Keeps what is stored in step with what this node holds. One round at a time; whatever fails is done again.

    grace: seconds without a socket anywhere after which a user's end is announced.
    left: is told users who went offline by what this node did, and when they were seen, in seconds since the epoch.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        local: LocalUsers,
        grace: float,
        clock: Clock,
        stats: Stats,
        left: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._local = local
        self._grace = grace
        self._clock = clock
        self._stats = stats
        self._left = left
        self._verified = 0
        self._verifying_since = clock.monotonic()
        self._has_failed = False
        self._in_hurry = False
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Does one round; raises Fenced, or what the store failed with, after everything that could be done."""
        self._failure = None
        try:
            await self.beat()
            await self.write()
            await self._settle()
            await self._verify()
            await self._reap()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            self._has_failed = True
            if not self._in_hurry:
                self._verify_all()
            raise

    async def beat(self) -> None:
        """Renews the lease, or takes the first of this incarnation; raises Fenced where it is lost."""
        now = self._clock.monotonic()
        beat = await self._ledger.beat()
        if not beat.is_held:
            raise Fenced("its lease is gone")
        self._lease.beaten(beat, now)

    async def write(self) -> None:
        """Writes what has changed on this node."""
        failed: list[Claim] = []
        try:
            while claims := self._local.claims(BATCH):
                failed += claims  # until it is known what has become of them
                await self._keep()
                answers = await self._ledger.write([(claim, self.since_epoch(claim.seen)) for claim in claims])
                del failed[-len(claims) :]
                failed += [
                    claim for claim, answer in zip(claims, answers, strict=True) if not self._wrote(claim, answer)
                ]
        finally:
            self._local.failed(failed)

    def _wrote(self, claim: Claim, answer: Any) -> bool:
        if isinstance(answer, Exception):
            self._failure = answer
            return False
        code, *rest = answer
        if code == b"present":
            self._local.present(claim, "away" if rest[0] == b"away" else "online")
        elif code == b"leaving":
            self._local.leaving(claim, rest[0], self._clock.monotonic())
        elif code == b"gone":
            self._local.gone(claim)
        elif code == b"invalid":
            self._stats.errors["presence_invalid"] += 1
            logger.error("a count of %d sockets of a user was refused", claim.sockets)
        else:
            self._refused(code)
            return False
        return True

    async def _settle(self) -> None:
        left: dict[str, float] = {}
        try:
            for debts in batches(self._local.due(self._clock.monotonic())):
                await self._keep()
                ends = [(debt, self.since_epoch(debt.seen)) for debt in debts]
                answers = await self._ledger.settle(ends)
                for (debt, seen), answer in zip(ends, answers, strict=True):
                    if self._settled(debt, answer):
                        left[debt.user_id] = seen
        finally:
            self._tell(left)

    def _settled(self, debt: Debt, answer: Any) -> bool:
        """Takes in what became of an end; tells whether the user has left by it."""
        if isinstance(answer, Exception):
            self._failure = answer
            return False
        (code,) = answer
        if code in (b"left", b"back"):
            self._local.settled(debt)
        elif code == b"lost":
            self._local.lost(debt)
        else:
            self._refused(code)
        return bool(code == b"left")

    async def _verify(self) -> None:
        """Compares some buckets, so that all have had their turn in a minute."""
        now = self._clock.monotonic()
        seconds = min(VERIFY_SECONDS, VERIFY_AFTER_FAILURE_SECONDS) if self._in_hurry else VERIFY_SECONDS
        if self._verified == BUCKETS and now - self._verifying_since >= seconds:
            self._verify_all()
        target = min(BUCKETS, int(BUCKETS * (now - self._verifying_since) / seconds))
        for some in batches(range(self._verified, target), BUCKETS_PER_BATCH):
            await self._keep()
            answers = await self._ledger.verify([(bucket, self._local.stored(bucket)) for bucket in some])
            for answer in answers:
                self._compared(answer)
            self._verified = some[-1] + 1

    def _compared(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._failure = answer
            return
        code, *users = answer
        if code != b"differ":
            self._refused(code)
        elif users:
            self._stats.errors["presence_healed"] += len(users)
            self._local.differ([user.decode() for user in users], self._clock.monotonic())

    def _verify_all(self) -> None:
        """Begins with the first bucket; after a failure in a hurry, and once more where it goes on meanwhile."""
        self._verified, self._verifying_since = 0, self._clock.monotonic()
        self._in_hurry, self._has_failed = self._has_failed, False

    async def _reap(self) -> None:
        for dead in self._lease.reapable(self._clock.monotonic()):
            logger.info("the lease of node %s has ended: its sockets are taken as closed", dead)
            await self._bury(dead)

    async def _bury(self, dead: str) -> None:
        """Takes away what a dead node held. Others do the same at the same time, so each begins somewhere else."""
        first = random.randrange(BUCKETS)  # noqa: S311 - nobody gains from guessing it
        buckets = [(first + offset) % BUCKETS for offset in range(BUCKETS)]
        for some in batches(buckets, BUCKETS_PER_BATCH):
            await self._keep()
            remains = await self._ledger.entomb(dead, some)
            for few in batches(remains):
                await self._keep()
                last = self._lease.last_beat_of(dead)
                seen = {user_id: max(before, last if had_socket else 0.0) for user_id, had_socket, before in few}
                left, owed = await self._ledger.reap(dead, seen, self._clock.time() - self._grace)
                self._tell({user_id: seen[user_id] for user_id in left})
                for user_id, moment in owed.items():
                    self._local.differ([user_id], self._clock.monotonic() - (self._clock.time() - moment))
        await self._ledger.remove(dead)

    async def _keep(self) -> None:
        """Beats where a long round has come between."""
        if self._lease.is_due(self._clock.monotonic()):
            await self.beat()

    def _refused(self, code: bytes) -> None:
        if code == b"fenced":
            self._stats.errors["presence_fenced"] += 1
            raise Fenced("it was declared dead")
        self._failure = TimeoutError("a change of presence has been on its way for too long, and was refused")

    def _tell(self, left: Mapping[str, float]) -> None:
        if left:
            self._left(left)

    def since_epoch(self, moment: float) -> float:
        """Turns a time of the clock that nobody sets into one that people read."""
        return self._clock.time() - (self._clock.monotonic() - moment)


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[list[T]]:
    """Gives a sequence in parts."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
