"""How a publication travels through Redis: a small versioned header, then the final bytes of the frame.

======  =====  ================================================================================
offset  bytes  what
======  =====  ================================================================================
0       4      magic, ``HBUB``
4       1      version, 1
5       16     id: the publisher's random 8 bytes, then its sequence number
21      4      length of the header
25      4      length of the frame
29      4      length of the memo
33             the header (msgpack: type, topics, users, exclude), the frame, the memo; nothing after
======  =====  ================================================================================

All numbers are big-endian. The memo comes last so that a script in Redis can complete it by appending bytes that its
length already counts: see ``appended``. Old nodes drop what has another version, and say so, instead of guessing.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from hubbub.brokers.base import Publication
from hubbub.contract.topics import Interest, Topic
from hubbub.errors import HubbubError

MAGIC: Final = b"HBUB"
VERSION: Final = 1

MAX_BYTES: Final = 64 * 1024
"""The most that a publication may measure, all in all: events are signals, and a client's are held to the same."""

USERS_PER_PART: Final = 16
"""Users named in one copy. Each user's copy names its neighbours, so a bound keeps large audiences linear."""

_HEAD: Final = struct.Struct("!4sB16sIII")
_SEQUENCE: Final = struct.Struct("!Q")


class Fault(StrEnum):
    """What can be wrong with something that arrived; each is counted under its own name."""

    TOO_BIG = "too_big"
    NO_MAGIC = "no_magic"
    UNKNOWN_VERSION = "unknown_version"
    WRONG_LENGTH = "wrong_length"
    BAD_HEADER = "bad_header"
    WRONG_CHANNEL = "wrong_channel"
    DUPLICATE = "duplicate"


class BadPublication(HubbubError):
    """Something that arrived, or was to be sent, is no publication."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class _Header(msgspec.Struct, array_like=True, frozen=True, gc=False):
    type: str
    topics: tuple[tuple[str, str], ...]
    users: tuple[str, ...]
    exclude: str | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Header)


class Ids:
    """Gives the ids of one publisher: no two are alike, here or anywhere."""

    def __init__(self) -> None:
        self._incarnation = secrets.token_bytes(8)
        self._sequence = 0

    def next(self) -> bytes:
        """Gives the next id, 16 bytes."""
        self._sequence += 1
        return self._incarnation + _SEQUENCE.pack(self._sequence)


class Duplicates:
    """Remembers the last ids that arrived on each channel, a bounded number of them altogether."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._seen: dict[tuple[bytes, Interest | None], None] = {}

    def seen(self, id: bytes, matched: Interest | None) -> bool:
        """Tells whether a copy has arrived before, and remembers it."""
        key = (id, matched)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]
        return False


def parts(publication: Publication) -> Iterator[tuple[Publication, tuple[Interest, ...]]]:
    """Gives the copies to encode, and the interests whose channels each one goes to.

    There is one, unless the audience names many users. A further copy names the topics too, whose subscribers have
    heard the event already, and not the other users, since no socket has two.
    """
    users = tuple(dict.fromkeys(publication.users))
    if len(users) <= USERS_PER_PART:
        yield publication, (*dict.fromkeys(publication.topics), *users)
        return
    if publication.topics:
        yield msgspec.structs.replace(publication, users=()), tuple(dict.fromkeys(publication.topics))
    for start in range(0, len(users), USERS_PER_PART):
        some = users[start : start + USERS_PER_PART]
        yield msgspec.structs.replace(publication, users=some), some


def encode(publication: Publication, id: bytes, *, appended: int = 0) -> bytes:
    """Writes a publication.

    appended: bytes that whoever publishes it will append; the reader finds them at the end of the memo.

    Raises BadPublication where it is larger than readers take, or cannot be written.
    """
    topics = tuple((topic.kind, topic.id) for topic in publication.topics)
    try:
        header = _encoder.encode(_Header(publication.type, topics, publication.users, publication.exclude))
    except UnicodeEncodeError as error:
        raise BadPublication(Fault.BAD_HEADER, f"an audience that has no UTF-8: {error}") from None
    frame, metadata = publication.frame, publication.metadata
    lengths = len(header), len(frame), len(metadata) + appended
    data = b"".join((_HEAD.pack(MAGIC, VERSION, id, *lengths), header, frame, metadata))
    if len(data) + appended > MAX_BYTES:
        raise BadPublication(Fault.TOO_BIG, f"{publication.type} takes {len(data)} bytes, at most {MAX_BYTES} may be")
    return data


def decode(data: bytes, matched: Interest | None) -> tuple[Publication, bytes]:
    """Reads a publication and its id; the frame is not looked into.

    via: the interest on whose channel it arrived, which its audience must name; None where any may arrive.

    Raises BadPublication with what is wrong.
    """
    if len(data) > MAX_BYTES:
        raise BadPublication(Fault.TOO_BIG, f"{len(data)} bytes, expected at most {MAX_BYTES}")
    if data[:4] != MAGIC:
        raise BadPublication(Fault.NO_MAGIC, f"expected {MAGIC!r} at the beginning, got {data[:4]!r}")
    if data[4:5] != bytes((VERSION,)):
        raise BadPublication(Fault.UNKNOWN_VERSION, f"expected version {VERSION}, got {data[4:5]!r}")
    if len(data) < _HEAD.size:
        raise BadPublication(Fault.WRONG_LENGTH, f"{len(data)} bytes are no header")
    _, _, id, header_length, frame_length, memo_length = _HEAD.unpack_from(data)
    frame_begin = _HEAD.size + header_length
    memo_begin = frame_begin + frame_length
    if memo_begin + memo_length != len(data):
        raise BadPublication(Fault.WRONG_LENGTH, f"expected {memo_begin + memo_length} bytes, got {len(data)}")
    try:
        header = _decoder.decode(data[_HEAD.size : frame_begin])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPublication(Fault.BAD_HEADER, f"a header that cannot be read: {error}") from None
    topics = tuple(Topic(kind, name) for kind, name in header.topics)
    if matched is not None and matched not in topics and matched not in header.users:
        raise BadPublication(
            Fault.WRONG_CHANNEL, f"{header.type} arrived for {matched}, whom its audience does not name"
        )
    return (
        Publication(header.type, data[frame_begin:memo_begin], topics, header.users, header.exclude, data[memo_begin:]),
        id,
    )
