"""Presence as it is stored in Redis: which keys there are, and the arguments and answers of each script.

In the bucket of a user (see `hubbub.redis.channels`): `p:<user>`, a hash; `n:<incarnation>`, a set of users; and
`x:<incarnation>`, a tombstone. Once per system: `nodes`, the leases. lua/common.lua says what the fields mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hubbub.brokers.codec import PublicationIds, encode
from hubbub.contract.events import Status
from hubbub.contract.topics import Topic
from hubbub.presence.redis.lease import Lease, Renewal
from hubbub.presence.redis.local_users import PendingOffline, PendingWrite
from hubbub.presence.redis.replica import Stored
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import VERSION_FORMAT, publication_of
from hubbub.redis.channels import COMMON_BUCKET, Channels, bucket_of
from hubbub.redis.pipeline import RedisCommand, RedisPipeline, Script, ScriptCall, read_script
from hubbub.redis.resp import redis_command

UNUSED_SECONDS: Final = 3600
"""How long what a node has written stays if no node is left to reap it."""

OFFLINE_SECONDS: Final = 60
"""How long it is remembered that a user went offline, and when the user was seen."""


class ReapCandidate(NamedTuple):
    """A user of a dead incarnation."""

    user_id: str
    had_socket: bool
    """Whether the incarnation had a socket of the user."""

    seen: float
    """When the user was seen before, in seconds since the epoch."""


class PresenceRepository:
    """Reads and writes presence. An answer may be an exception: what a server did not do, and may be asked again."""

    def __init__(self, pipeline: RedisPipeline, channels: Channels, lease: Lease) -> None:
        self._pipeline = pipeline
        self._channels = channels
        self._lease = lease
        self._ids = PublicationIds()
        self._leases = self._key(COMMON_BUCKET, "nodes")

    # --- nodes --------------------------------------------------------------------------------------------------------

    async def renew(self, seconds: float | None = None) -> Renewal:
        """Take or renew the lease; raise what Redis fails with.

        Args:
            seconds: How long it is to last; by default as long as leases do.
        """
        lease = self._lease
        length = lease.milliseconds if seconds is None else int(seconds * 1000)
        arguments = lease.incarnation.encode(), b"%d" % length, b"keep" if lease.is_taken else b"take"
        call = ScriptCall(_script("renew"), COMMON_BUCKET, (self._leases,), arguments)
        (answer,) = _all(await self._pipeline.execute([call]))
        held, now, *expired = answer
        ends = dict(zip(expired[::2], expired[1::2], strict=True))
        return Renewal(held == 1, now, {name.decode(): int(float(end)) for name, end in ends.items()})

    async def remove(self, incarnation: str) -> None:
        """Forget an incarnation that has nothing left; raise what Redis fails with."""
        removal = RedisCommand(COMMON_BUCKET, redis_command(b"ZREM", self._leases, incarnation.encode()))
        _all(await self._pipeline.execute([removal]))

    # --- users of this node -------------------------------------------------------------------------------------------

    async def write(self, writes: Sequence[tuple[PendingWrite, float]]) -> list[Any]:
        """Write what this node holds of users, with when each was seen, in seconds since the epoch."""
        return await self._pipeline.execute([self._write(write, seen) for write, seen in writes])

    async def announce_offline(self, users: Sequence[tuple[PendingOffline, float]]) -> list[Any]:
        """Announce that users are offline, with when each was seen, in seconds since the epoch."""
        return await self._pipeline.execute([self._announce_offline(offline, seen) for offline, seen in users])

    async def verify(self, buckets: Iterable[tuple[int, Iterable[tuple[str, str]]]]) -> list[Any]:
        """Compare what is stored in buckets with what should be: `<sockets>:<status>` by user, "" to ignore one."""
        return await self._pipeline.execute([self._verify(bucket, expected) for bucket, expected in buckets])

    # --- all users ----------------------------------------------------------------------------------------------------

    async def read(self, user_ids: Sequence[str]) -> list[Stored | None]:
        """Return what was last announced of users; None if nothing is stored. Raise what Redis fails with."""
        reads = [self._fields(user_id, b"s", b"v", b"seen") for user_id in user_ids]
        return [_stored(*answer) for answer in _all(await self._pipeline.execute(reads))]

    # --- dead nodes ---------------------------------------------------------------------------------------------------

    async def fence(self, dead: str, buckets: Iterable[int]) -> list[ReapCandidate]:
        """Refuse all later writes of an incarnation in some buckets; return its users. Raise what Redis fails with."""
        milliseconds = b"%d" % self._lease.tombstone_milliseconds
        calls = [ScriptCall(_script("fence"), at, self._incarnation_keys(at, dead), (milliseconds,)) for at in buckets]
        users = [user.decode() for users in _all(await self._pipeline.execute(calls)) for user in users]
        field = f"n:{dead}".encode()
        fields = _all(await self._pipeline.execute([self._fields(user_id, field, b"seen") for user_id in users]))
        return [
            ReapCandidate(user_id, held is not None, float(seen or 0))
            for user_id, (held, seen) in zip(users, fields, strict=True)
        ]

    async def reap(self, dead: str, users: Mapping[str, float], recent: float) -> tuple[list[str], dict[str, float]]:
        """Remove what a dead incarnation held of users; raise what Redis fails with. Times are seconds since the epoch.

        Args:
            dead: The incarnation.
            users: The users, with when each was seen.
            recent: Users seen on another node after this time may be about to come back.

        Returns:
            The users who went offline by it; and those that this node is to announce offline later, with when each was
            seen.
        """
        calls = [self._reap(dead, user_id, seen, recent) for user_id, seen in users.items()]
        answers = dict(zip(users, _all(await self._pipeline.execute(calls)), strict=True))
        offline = [user_id for user_id, (code, *_) in answers.items() if code == b"left"]
        pending = {user_id: float(rest[0]) for user_id, (code, *rest) in answers.items() if code == b"pending"}
        return offline, pending

    # --- details ------------------------------------------------------------------------------------------------------

    def _write(self, write: PendingWrite, seen: float) -> ScriptCall:
        bucket, user_id = bucket_of(write.user_id), write.user_id
        # "new" becomes away only if the user is announced as away already.
        cannot_be_away = write.sockets > 0 and write.status != "away"
        arguments = (
            self._lease.incarnation.encode(),
            user_id.encode(),
            b"%d" % write.sockets,
            write.status.encode(),
            b"%.3f" % seen,
            b"%d" % self._lease.valid_until,
            b"%d" % UNUSED_SECONDS,
            *self._audience(user_id),
            self._payload(user_id, "online", None),
            b"" if cannot_be_away else self._payload(user_id, "away", seen),
        )
        return ScriptCall(_script("write"), bucket, self._user_keys(bucket, user_id), arguments)

    def _announce_offline(self, offline: PendingOffline, seen: float) -> ScriptCall:
        bucket, user_id = bucket_of(offline.user_id), offline.user_id
        arguments = (
            self._lease.incarnation.encode(),
            user_id.encode(),
            b"%d" % offline.epoch,
            b"%.3f" % seen,
            b"%d" % self._lease.valid_until,
            b"%d" % OFFLINE_SECONDS,
            *self._audience(user_id),
            self._payload(user_id, "offline", seen),
        )
        return ScriptCall(_script("offline"), bucket, self._user_keys(bucket, user_id), arguments)

    def _verify(self, bucket: int, expected: Iterable[tuple[str, str]]) -> ScriptCall:
        keys = [*self._incarnation_keys(bucket, self._lease.incarnation)]
        arguments = [self._lease.incarnation.encode(), b"%d" % UNUSED_SECONDS, b"%d" % self._lease.valid_until]
        for user_id, status in expected:
            keys.append(self._key(bucket, f"p:{user_id}"))
            arguments += user_id.encode(), status.encode()
        return ScriptCall(_script("verify"), bucket, tuple(keys), tuple(arguments))

    def _reap(self, dead: str, user_id: str, seen: float, recent: float) -> ScriptCall:
        bucket = bucket_of(user_id)
        arguments = (
            dead.encode(),
            user_id.encode(),
            b"%.3f" % seen,
            b"%d" % OFFLINE_SECONDS,
            *self._audience(user_id),
            self._payload(user_id, "online", None),
            self._payload(user_id, "away", seen),
            self._payload(user_id, "offline", seen),
            self._lease.incarnation.encode(),
            b"%d" % self._lease.valid_until,
            b"%d" % UNUSED_SECONDS,
            b"%.3f" % recent,
        )
        of_dead = self._key(bucket, f"p:{user_id}"), self._key(bucket, f"n:{dead}")
        own = self._incarnation_keys(bucket, self._lease.incarnation)
        return ScriptCall(_script("reap"), bucket, (*of_dead, *own), arguments)

    def _fields(self, user_id: str, *fields: bytes) -> RedisCommand:
        bucket = bucket_of(user_id)
        return RedisCommand(bucket, redis_command(b"HMGET", self._key(bucket, f"p:{user_id}"), *fields))

    def _payload(self, user_id: str, status: Status, seen: float | None) -> bytes:
        publication = publication_of(Presence(user_id, status, seen))
        return encode(publication, self._ids.next(), appended=VERSION_FORMAT.size)

    def _audience(self, user_id: str) -> tuple[bytes, bytes, bytes]:
        """Return the command that publishes, and the channels of the user's watchers and of the user."""
        channels = self._channels
        return self._pipeline.pubsub.publish_word, channels.of(Topic("user", user_id)), channels.of(user_id)

    def _user_keys(self, bucket: int, user_id: str) -> tuple[bytes, ...]:
        return (self._key(bucket, f"p:{user_id}"), *self._incarnation_keys(bucket, self._lease.incarnation))

    def _incarnation_keys(self, bucket: int, incarnation: str) -> tuple[bytes, ...]:
        return self._key(bucket, f"n:{incarnation}"), self._key(bucket, f"x:{incarnation}")

    def _key(self, bucket: int, name: str) -> bytes:
        return (self._channels.stem(bucket) + name).encode()


def _script(name: str) -> Script:
    return read_script("hubbub.presence.redis", name)


def _stored(status: bytes | None, version: bytes | None, seen: bytes | None) -> Stored | None:
    if status is None:
        return None
    known: dict[bytes, Status] = {b"online": "online", b"away": "away", b"offline": "offline"}
    return Stored(known[status], int(version or 0), None if seen is None else float(seen))


def _all(answers: list[Any]) -> list[Any]:
    """Return the answers; raise the first that is an exception."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
