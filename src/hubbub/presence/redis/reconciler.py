"""A node's work on shared presence, once per tick: renew the lease, write changes, announce offline, verify, reap.

docs/decisions/0007 explains why a node writes absolute counts, and why a dead incarnation is fenced before it is
reaped.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from hubbub.clock import Clock
from hubbub.metrics.stats import Stats
from hubbub.presence.redis.lease import Lease
from hubbub.presence.redis.local_users import LocalUsers, PendingOffline, PendingWrite
from hubbub.presence.redis.repository import PresenceRepository
from hubbub.redis.channels import BUCKETS

logger = logging.getLogger("hubbub.presence")

BATCH: Final = 128
"""Users written before other work gets its turn: a few milliseconds."""

BUCKETS_PER_BATCH: Final = 32
"""Buckets in one batch, when they are compared with what is stored, or fenced."""

VERIFY_SECONDS: Final = 60.0
"""The time over which everything that this node has written is compared once with what is stored."""

VERIFY_AFTER_FAILURE_SECONDS: Final = 10.0
"""The same after a failure: a write that was given up may have been done later, and out of order."""

T = TypeVar("T")


class Fenced(Exception):
    """The node's incarnation was declared dead, or its lease has ended; the node continues as another one."""


class Reconciler:
    """Keeps what is stored in step with what this node holds. One round at a time; whatever fails is done again.

    Args:
        repository: Reads and writes.
        lease: The node's lease.
        local: The users of this node.
        grace: Seconds without a socket on any node after which a user is announced offline.
        clock: The time.
        stats: Counts faults.
        on_offline: Called with users that this node took offline, and when each was seen, in seconds since the epoch.
    """

    def __init__(
        self,
        repository: PresenceRepository,
        lease: Lease,
        local: LocalUsers,
        grace: float,
        clock: Clock,
        stats: Stats,
        on_offline: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._repository = repository
        self._lease = lease
        self._local = local
        self._grace = grace
        self._clock = clock
        self._stats = stats
        self._on_offline = on_offline
        self._verified = 0  # buckets of this pass
        self._verifying_since = clock.monotonic()
        self._verify_quickly = False
        self._has_failed = False
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Do one round. Raise Fenced, or what Redis failed with, after everything that could be done."""
        self._failure = None
        try:
            await self.renew()
            await self.write()
            await self._announce_offline()
            await self._verify()
            await self._reap()
            if self._failure is not None:
                raise self._failure
        except BaseException:
            # A write that failed may still be carried out late, over a newer one (docs/decisions/0007, "Comparing
            # instead of rewriting"). So a failure starts a quick pass, and a failure within that pass one more.
            self._has_failed = True
            if not self._verify_quickly:
                self._verify_all()
            raise

    async def renew(self) -> None:
        """Renew the lease, or take the first one of this incarnation; raise Fenced if it has ended."""
        now = (
            self._clock.monotonic()
        )  # before the request: a late answer must not make the lease look longer than it is
        renewal = await self._repository.renew()
        if not renewal.is_held:
            raise Fenced("its lease has ended")
        self._lease.renewed(renewal, now)

    async def write(self) -> None:
        """Write what has changed on this node."""
        failed: list[PendingWrite] = []
        try:
            while writes := self._local.take_writes(BATCH):
                # If this task is cancelled here, all of them count as failed. Writing one again does no harm: what is
                # written is the absolute count (docs/decisions/0007).
                failed += writes
                await self._renew_if_due()
                answers = await self._repository.write([(write, self.since_epoch(write.seen)) for write in writes])
                del failed[-len(writes) :]
                failed += [
                    write for write, answer in zip(writes, answers, strict=True) if not self._wrote(write, answer)
                ]
        finally:
            self._local.write_failed(failed)

    def _wrote(self, write: PendingWrite, answer: Any) -> bool:
        if isinstance(answer, Exception):
            self._failure = answer
            return False
        code, *rest = answer
        if code == b"present":
            self._local.wrote_present(write, "away" if rest[0] == b"away" else "online")
        elif code == b"leaving":
            self._local.wrote_leaving(write, rest[0], self._clock.monotonic())
        elif code == b"gone":
            self._local.wrote_gone(write)
        elif code == b"invalid":
            self._stats.errors["presence_invalid"] += 1
            logger.error("a count of %d sockets of a user was refused", write.sockets)
        else:
            self._refused(code)
            return False
        return True

    async def _announce_offline(self) -> None:
        gone: dict[str, float] = {}
        try:
            for batch in batches(self._local.due_offline(self._clock.monotonic())):
                await self._renew_if_due()
                users = [(offline, self.since_epoch(offline.seen)) for offline in batch]
                answers = await self._repository.announce_offline(users)
                for (offline, seen), answer in zip(users, answers, strict=True):
                    if self._announced_offline(offline, answer):
                        gone[offline.user_id] = seen
        finally:
            self._report_offline(gone)

    def _announced_offline(self, offline: PendingOffline, answer: Any) -> bool:
        """Handle the answer about one user; return whether it took the user offline."""
        if isinstance(answer, Exception):
            self._failure = answer
            return False
        (code,) = answer
        if code in (b"left", b"back"):
            self._local.offline_done(offline)
        elif code == b"unknown":
            self._local.offline_unknown(offline)
        else:
            self._refused(code)
        return bool(code == b"left")

    async def _verify(self) -> None:
        """Compare some buckets, so that all have had their turn within a minute."""
        now = self._clock.monotonic()
        seconds = min(VERIFY_SECONDS, VERIFY_AFTER_FAILURE_SECONDS) if self._verify_quickly else VERIFY_SECONDS
        if self._verified == BUCKETS and now - self._verifying_since >= seconds:
            self._verify_all()
        target = min(BUCKETS, int(BUCKETS * (now - self._verifying_since) / seconds))
        for some in batches(range(self._verified, target), BUCKETS_PER_BATCH):
            await self._renew_if_due()
            answers = await self._repository.verify([(bucket, self._local.expected_in(bucket)) for bucket in some])
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
            self._local.rewrite([user.decode() for user in users], self._clock.monotonic())

    def _verify_all(self) -> None:
        """Start with the first bucket: quickly after a failure, and once more if failures go on during that pass."""
        self._verified, self._verifying_since = 0, self._clock.monotonic()
        self._verify_quickly, self._has_failed = self._has_failed, False

    async def _reap(self) -> None:
        for dead in self._lease.reapable(self._clock.monotonic()):
            logger.info("the lease of node %s has ended: its sockets count as closed", dead)
            await self._reap_node(dead)

    async def _reap_node(self, dead: str) -> None:
        """Remove what a dead node held. Other nodes do the same at the same time, so each begins at another bucket."""
        # Fenced first: a write of the dead node that is still on its way must not bring back what was removed
        # (docs/decisions/0007).
        first = random.randrange(BUCKETS)  # noqa: S311 - nobody gains from guessing it
        buckets = [(first + offset) % BUCKETS for offset in range(BUCKETS)]
        for some in batches(buckets, BUCKETS_PER_BATCH):
            await self._renew_if_due()
            candidates = await self._repository.fence(dead, some)
            for few in batches(candidates):
                await self._renew_if_due()
                # A user with a socket there was seen at least until the node's last renewal.
                last = self._lease.last_renewal_of(dead)
                seen = {user_id: max(before, last if had_socket else 0.0) for user_id, had_socket, before in few}
                offline, pending = await self._repository.reap(dead, seen, self._clock.time() - self._grace)
                self._report_offline({user_id: seen[user_id] for user_id in offline})
                # Users seen a moment ago may be reconnecting. This node takes them over, and announces them later.
                for user_id, moment in pending.items():
                    self._local.rewrite([user_id], self._clock.monotonic() - (self._clock.time() - moment))
        await self._repository.remove(dead)

    async def _renew_if_due(self) -> None:
        """Renew the lease within a long round, so that its length does not cost the node its lease."""
        if self._lease.is_due(self._clock.monotonic()):
            await self.renew()

    def _refused(self, code: bytes) -> None:
        if code == b"fenced":
            self._stats.errors["presence_fenced"] += 1
            raise Fenced("it was declared dead")
        self._failure = TimeoutError("a presence write was refused: it arrived after its deadline")

    def _report_offline(self, last_seen: Mapping[str, float]) -> None:
        if last_seen:
            self._on_offline(last_seen)

    def since_epoch(self, moment: float) -> float:
        """Return a time of the monotonic clock as seconds since the epoch."""
        return self._clock.time() - (self._clock.monotonic() - moment)


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[list[T]]:
    """Yield a sequence in parts."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
