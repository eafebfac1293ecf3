"""Presence as it is stored: which keys there are, and what each script is asked and answers.

In the bucket of a user (see channels): ``p:<user>``, a hash, ``n:<incarnation>``, a set of users, and
``x:<incarnation>``, a tombstone. Once in all: ``nodes``, the leases. What the fields mean stands in lua/common.lua.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from hubbub.brokers.codec import Ids, encode
from hubbub.contract.events import Status
from hubbub.contract.topics import Topic
from hubbub.presence.redis.lease import Beat, Lease
from hubbub.presence.redis.local_users import Claim, Debt
from hubbub.presence.redis.replica import Stored
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import VERSION, publication_of
from hubbub.redis.channels import ALL_BUCKET, Channels, bucket_of
from hubbub.redis.pipeline import Command, Store
from hubbub.redis.resp import command
from hubbub.redis.scripts import Call, Script, script

UNUSED_SECONDS: Final = 3600
"""How long what a node has written outlives it where nobody is left to reap it."""

OFFLINE_SECONDS: Final = 60
"""How long it is remembered that a user went offline, and when the user was seen."""


class Remains(NamedTuple):
    """What a dead incarnation has left of a user: whether it had a socket, and when the user was seen before that."""

    user_id: str
    had_socket: bool
    seen: float


class Ledger:
    """Reads and writes presence. Answers may be exceptions: what a server did not do, and may be asked again."""

    def __init__(self, store: Store, channels: Channels, lease: Lease) -> None:
        self._store = store
        self._channels = channels
        self._lease = lease
        self._ids = Ids()
        self._leases = self._key(ALL_BUCKET, "nodes")

    # --- nodes --------------------------------------------------------------------------------------------------------

    async def beat(self, seconds: float | None = None) -> Beat:
        """Takes or renews the lease; raises what the store fails with.

        seconds: how long it is to last; by default as long as leases do.
        """
        lease = self._lease
        length = lease.milliseconds if seconds is None else int(seconds * 1000)
        arguments = lease.incarnation.encode(), b"%d" % length, b"keep" if lease.is_taken else b"take"
        (answer,) = await self._store.ask([Call(_script("beat"), ALL_BUCKET, (self._leases,), arguments)])
        if isinstance(answer, Exception):
            raise answer
        held, now, *dead = answer
        ends = dict(zip(dead[::2], dead[1::2], strict=True))
        return Beat(held == 1, now, {name.decode(): int(float(end)) for name, end in ends.items()})

    async def remove(self, incarnation: str) -> None:
        """Forgets an incarnation of which nothing is left; raises what the store fails with."""
        removal = Command(ALL_BUCKET, command(b"ZREM", self._leases, incarnation.encode()))
        (answer,) = await self._store.ask([removal])
        if isinstance(answer, Exception):
            raise answer

    # --- users of this node -------------------------------------------------------------------------------------------

    async def write(self, claims: Sequence[tuple[Claim, float]]) -> list[Any]:
        """Writes what this node holds of users, with when each was seen, in seconds since the epoch."""
        return await self._store.ask([self._write(claim, seen) for claim, seen in claims])

    async def settle(self, debts: Sequence[tuple[Debt, float]]) -> list[Any]:
        """Announces the end of users, with when each was seen."""
        return await self._store.ask([self._settle(debt, seen) for debt, seen in debts])

    async def verify(self, buckets: Iterable[tuple[int, Iterable[tuple[str, str]]]]) -> list[Any]:
        """Compares what should be stored in buckets: by user ``<sockets>:<share>``, or "" for one to leave alone."""
        return await self._store.ask([self._verify(bucket, stored) for bucket, stored in buckets])

    # --- everybody ----------------------------------------------------------------------------------------------------

    async def read(self, user_ids: Sequence[str]) -> list[Stored | None]:
        """Reads what was last announced of users; None where nothing is stored. Raises what the store fails with."""
        answers = await self._store.ask([self._fields(user_id, b"s", b"v", b"seen") for user_id in user_ids])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [_stored(*answer) for answer in answers]

    # --- the dead -----------------------------------------------------------------------------------------------------

    async def entomb(self, dead: str, buckets: Iterable[int]) -> list[Remains]:
        """Declares an incarnation dead in some buckets, and gives whom it leaves; raises what the store fails with."""
        milliseconds = b"%d" % self._lease.tombstone_milliseconds
        calls = [Call(_script("entomb"), at, self._incarnation_keys(at, dead), (milliseconds,)) for at in buckets]
        users = [user.decode() for users in _all(await self._store.ask(calls)) for user in users]
        field = f"n:{dead}".encode()
        fields = _all(await self._store.ask([self._fields(user_id, field, b"seen") for user_id in users]))
        return [
            Remains(user_id, held is not None, float(seen or 0))
            for user_id, (held, seen) in zip(users, fields, strict=True)
        ]

    async def reap(self, dead: str, users: Mapping[str, float], recent: float) -> tuple[list[str], dict[str, float]]:
        """Takes away what a dead incarnation held of users, with when each was seen; raises what the store fails with.

        Gives who left by that, and whose end this node owes, with when they were seen: after ``recent``, on another
        node. All in seconds since the epoch.
        """
        answers = _all(await self._store.ask([self._reap(dead, user, seen, recent) for user, seen in users.items()]))
        known = dict(zip(users, answers, strict=True))
        left = [user_id for user_id, (code, *_) in known.items() if code == b"left"]
        return left, {user_id: float(rest[0]) for user_id, (code, *rest) in known.items() if code == b"owed"}

    # --- details ------------------------------------------------------------------------------------------------------

    def _write(self, claim: Claim, seen: float) -> Call:
        bucket, user_id = bucket_of(claim.user_id), claim.user_id
        cannot_be_away = (
            claim.sockets > 0 and claim.share != "away"
        )  # "new" is away only where that is announced already
        arguments = (
            self._lease.incarnation.encode(),
            user_id.encode(),
            b"%d" % claim.sockets,
            claim.share.encode(),
            b"%.3f" % seen,
            b"%d" % self._lease.valid_until,
            b"%d" % UNUSED_SECONDS,
            *self._audience(user_id),
            self._payload(user_id, "online", None),
            b"" if cannot_be_away else self._payload(user_id, "away", seen),
        )
        return Call(_script("write"), bucket, self._user_keys(bucket, user_id, self._lease.incarnation), arguments)

    def _settle(self, debt: Debt, seen: float) -> Call:
        bucket, user_id = bucket_of(debt.user_id), debt.user_id
        arguments = (
            self._lease.incarnation.encode(),
            user_id.encode(),
            b"%d" % debt.epoch,
            b"%.3f" % seen,
            b"%d" % self._lease.valid_until,
            b"%d" % OFFLINE_SECONDS,
            *self._audience(user_id),
            self._payload(user_id, "offline", seen),
        )
        return Call(_script("settle"), bucket, self._user_keys(bucket, user_id, self._lease.incarnation), arguments)

    def _verify(self, bucket: int, stored: Iterable[tuple[str, str]]) -> Call:
        keys = [*self._incarnation_keys(bucket, self._lease.incarnation)]
        arguments = [self._lease.incarnation.encode(), b"%d" % UNUSED_SECONDS, b"%d" % self._lease.valid_until]
        for user_id, share in stored:
            keys.append(self._key(bucket, f"p:{user_id}"))
            arguments += user_id.encode(), share.encode()
        return Call(_script("verify"), bucket, tuple(keys), tuple(arguments))

    def _reap(self, dead: str, user_id: str, seen: float, recent: float) -> Call:
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
        own = self._incarnation_keys(bucket, self._lease.incarnation)
        return Call(_script("reap"), bucket, (*self._user_keys(bucket, user_id, dead)[:2], *own), arguments)

    def _fields(self, user_id: str, *fields: bytes) -> Command:
        bucket = bucket_of(user_id)
        return Command(bucket, command(b"HMGET", self._key(bucket, f"p:{user_id}"), *fields))

    def _payload(self, user_id: str, status: Status, seen: float | None) -> bytes:
        publication = publication_of(Presence(user_id, status, seen))
        return encode(publication, self._ids.next(), appended=VERSION.size)

    def _audience(self, user_id: str) -> tuple[bytes, bytes, bytes]:
        """Gives the command that publishes, and the channels of everybody who watches a user, the user included."""
        channels = self._channels
        return self._store.publish_word, channels.locate(Topic("user", user_id))[1], channels.locate(user_id)[1]

    def _user_keys(self, bucket: int, user_id: str, incarnation: str) -> tuple[bytes, ...]:
        return (self._key(bucket, f"p:{user_id}"), *self._incarnation_keys(bucket, incarnation))

    def _incarnation_keys(self, bucket: int, incarnation: str) -> tuple[bytes, ...]:
        return self._key(bucket, f"n:{incarnation}"), self._key(bucket, f"x:{incarnation}")

    def _key(self, bucket: int, name: str) -> bytes:
        return (self._channels.stem(bucket) + name).encode()


def _script(name: str) -> Script:
    return script("hubbub.presence.redis", name)


def _stored(status: bytes | None, version: bytes | None, seen: bytes | None) -> Stored | None:
    if status is None:
        return None
    known: dict[bytes, Status] = {b"online": "online", b"away": "away", b"offline": "offline"}
    return Stored(known[status], int(version or 0), None if seen is None else float(seen))


def _all(answers: list[Any]) -> list[Any]:
    """Gives answers that are all there; raises the first that is not."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers
