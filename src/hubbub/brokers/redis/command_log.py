"""The log of commands in Redis: no node may miss one, so a node reads it again after a gap.

Events need no log: a resync makes up for a lost one. No fetch makes up for a lost withdrawal of access
(docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.brokers.codec import BadPublication, decode
from hubbub.outcome import Outcome
from hubbub.redis.channels import COMMON_BUCKET, Channels
from hubbub.redis.cluster import ClusterConnections
from hubbub.redis.command_queue import PendingCommand, PublishResult, ignore
from hubbub.redis.resp import redis_command
from hubbub.redis.shard import ShardConnection
from hubbub.redis.throttled_logger import ThrottledLogger

MAX_ENTRIES: Final = 10_000
"""Entries kept, here and in Redis; about two megabytes there."""

KEPT_SECONDS: Final = 3600
"""How long entries are kept after the last one. A node that was cut off for longer has no sockets left:
their heartbeats have failed."""

MARGIN_MILLISECONDS: Final = 1000
"""By how much the clocks of a Cluster's servers may differ."""

TIME: Final = redis_command(b"TIME")


class ReplayPosition:
    """Since when this node may have missed entries, and which ones it knows. Pure: no I/O.

    Times are milliseconds of the servers' own clocks. The log is a stream, whose entry ids begin with that time.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, None] = {}
        self._checkpoints: dict[Hashable, int] = {}
        self._start: int | None = None

    def since(self, servers: Iterable[Hashable]) -> int | None:
        """Return the time from which to read; None before anything could have been missed.

        Args:
            servers: The servers that deliver to this node now. The one with the oldest checkpoint decides.
        """
        if self._start is None:
            return None
        oldest = min((self._checkpoints.get(server, self._start) for server in servers), default=self._start)
        return max(0, oldest - MARGIN_MILLISECONDS)

    def restart(self, answer: object) -> None:
        """Record the answer to TIME: what is published from then on arrives, or is found by the next reading."""
        time = _milliseconds(answer)
        if time is not None:
            self._start = time
        self._checkpoints.clear()

    def checkpoint(self, server: Hashable, answer: object) -> None:
        """Record the answer to TIME of a server from which everything until then has arrived."""
        time = _milliseconds(answer)
        if time is not None:
            self._checkpoints[server] = time

    def is_new(self, id: bytes) -> bool:
        """Return whether the publication with this id was not known yet, and remember it."""
        if id in self._known:
            return False
        self._known[id] = None
        if len(self._known) > MAX_ENTRIES:
            del self._known[next(iter(self._known))]
        return True


class CommandLog:
    """Writes replayable publications to the log, and reads it after a gap.

    Args:
        replayable: The types of publications that are logged; empty turns the log off.
        cluster: Carries the commands.
        channels: Names the log's key.
        log: Counts and logs trouble.
        deliver: Called with each publication that was missed.
    """

    def __init__(
        self,
        replayable: Collection[str],
        cluster: ClusterConnections,
        channels: Channels,
        log: ThrottledLogger,
        deliver: Callable[[Publication], None],
    ) -> None:
        self._replayable = frozenset(replayable)
        self._cluster = cluster
        self._key = f"{channels.stem(COMMON_BUCKET)}journal".encode()
        self._log = log
        self._deliver = deliver
        self._position = ReplayPosition()
        self._read_at: object = None

    def is_replayable(self, publication: Publication) -> bool:
        """Return whether a publication is of a type that is logged."""
        return publication.type in self._replayable

    def arrived(self, id: bytes) -> None:
        """Record that a replayable publication has arrived: it is not to be replayed."""
        self._position.is_new(id)

    def append(self, id: bytes, data: bytes, result: PublishResult | None) -> bool:
        """Log a publication of this node; return False if it cannot be sent.

        Args:
            id: The publication's id.
            data: Its encoded bytes.
            result: Counts the answer, if the caller waits for it.
        """
        self._position.is_new(id)
        shard = self._cluster.common_shard
        if shard is None:
            return False
        entry = redis_command(b"XADD", self._key, b"MAXLEN", b"~", b"%d" % MAX_ENTRIES, b"*", b"d", data)
        if not shard.execute(entry, ignore if result is None else result.command_done):
            return False
        if result is not None:
            result.expected += 1
        shard.execute(redis_command(b"EXPIRE", self._key, b"%d" % KEPT_SECONDS))
        return True

    def checkpoint(self, shard: ShardConnection) -> None:
        """Ask a server for its time: until then it has delivered everything."""
        if self._replayable and self._cluster.are_up:
            shard.execute(TIME, lambda command, outcome, answer: self._position.checkpoint(shard.address, answer))

    def catch_up(self) -> None:
        """Read what was logged while this node may have missed it: all its servers deliver again."""
        shard = self._cluster.common_shard
        if not self._replayable or shard is None:
            return
        since = self._position.since(self._cluster.addresses)
        if since is None:
            self._position.restart(shard.connected_at)
            return
        # What is logged after this time arrives, or is found by the next reading: answers come in order.
        shard.execute(TIME, self._on_time)
        shard.execute(redis_command(b"XRANGE", self._key, b"%d" % since, b"+"), self._on_entries)

    def _on_time(self, command: PendingCommand, outcome: Outcome, answer: object) -> None:
        self._read_at = answer

    def _on_entries(self, command: PendingCommand, outcome: Outcome, answer: object) -> None:
        if outcome is not Outcome.ACCEPTED:
            if isinstance(answer, Exception):
                self._log.warn("redis_refused", "refused: %s", answer)
            return
        self._position.restart(self._read_at)
        for data in parse_entries(answer):
            try:
                publication, id = decode(data, None)
            except BadPublication as error:
                self._log.warn(f"redis_{error.fault}", "dropped an entry of the command log: %s", error)
                continue
            if self._position.is_new(id):
                self._deliver(publication)


def parse_entries(answer: object) -> list[bytes]:
    """Return the data in an answer to XRANGE, `[[id, [field, data]], …]`; empty if it is anything else."""
    try:
        return [data for _, (_, data) in answer]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return []


def _milliseconds(answer: object) -> int | None:
    """Read the answer to TIME, seconds and microseconds; None if it is anything else."""
    if not isinstance(answer, list) or len(answer) != 2:
        return None
    return int(answer[0]) * 1000 + int(answer[1]) // 1000
