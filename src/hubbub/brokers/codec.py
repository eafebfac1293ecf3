"""How a publication travels between nodes: a small versioned header, then the final bytes of the frame.

======  =====  ================================================================================
offset  bytes  content
======  =====  ================================================================================
0       4      magic, `HBUB`
4       1      version, 1
5       16     id: the publisher's random 8 bytes, then its sequence number
21      4      length of the header
25      4      length of the frame
29      4      length of the metadata
33             header (msgpack: type, topics, users, exclude), frame, metadata; nothing after them
======  =====  ================================================================================

All numbers are big-endian. The metadata comes last so that a script in Redis can complete it by appending bytes that
its length already counts: see `appended`. A node drops a publication of another version and logs it: it never
guesses.
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
"""The largest encoded publication. Events are signals, and a client's messages have the same limit."""

USERS_PER_COPY: Final = 16
"""Users named in one copy. Each user's copy names the others, so a bound keeps the bytes of a large audience linear."""

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
    """Bytes that arrived, or a publication that was to be sent, are not valid."""

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


class PublicationIds:
    """The ids of one publisher: no two are alike, here or anywhere."""

    def __init__(self) -> None:
        self._publisher = secrets.token_bytes(8)
        self._sequence = 0

    def next(self) -> bytes:
        """Return the next id, 16 bytes."""
        self._sequence += 1
        return self._publisher + _SEQUENCE.pack(self._sequence)


class Duplicates:
    """The last ids that arrived on each channel, a bounded number of them in all."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._seen: dict[tuple[bytes, Interest | None], None] = {}

    def seen(self, id: bytes, matched: Interest | None) -> bool:
        """Return whether a copy has arrived on this channel before, and remember it."""
        key = (id, matched)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self._size:
            del self._seen[next(iter(self._seen))]
        return False


def split(publication: Publication) -> Iterator[tuple[Publication, tuple[Interest, ...]]]:
    """Yield the copies to encode, each with the interests whose channels it goes to.

    There is one copy, unless the audience names many users. Each further copy names a few of them, since no socket has
    two users. It also names the topics, so that a node skips the sockets that heard the first copy.
    """
    users = tuple(dict.fromkeys(publication.users))
    if len(users) <= USERS_PER_COPY:
        yield publication, (*dict.fromkeys(publication.topics), *users)
        return
    if publication.topics:
        yield msgspec.structs.replace(publication, users=()), tuple(dict.fromkeys(publication.topics))
    for start in range(0, len(users), USERS_PER_COPY):
        some = users[start : start + USERS_PER_COPY]
        yield msgspec.structs.replace(publication, users=some), some


def encode(publication: Publication, id: bytes, *, appended: int = 0) -> bytes:
    """Encode a publication.

    Args:
        publication: What to send.
        id: Its id, 16 bytes.
        appended: Bytes that a script will append when it publishes; they become the end of the metadata.

    Raises:
        BadPublication: It is larger than `MAX_BYTES`, or has no encoding.
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
        raise BadPublication(
            Fault.TOO_BIG, f"{publication.type} takes {len(data) + appended} bytes, expected at most {MAX_BYTES}"
        )
    return data


def decode(data: bytes, matched: Interest | None) -> tuple[Publication, bytes]:
    """Decode a publication and its id; its frame stays as it is.

    Args:
        data: What arrived.
        matched: The interest on whose channel it arrived, which its audience must name; None if any may arrive.

    Raises:
        BadPublication: It is not valid.
    """
    if len(data) > MAX_BYTES:
        raise BadPublication(Fault.TOO_BIG, f"{len(data)} bytes, expected at most {MAX_BYTES}")
    if data[:4] != MAGIC:
        raise BadPublication(Fault.NO_MAGIC, f"expected {MAGIC!r} at the beginning, got {data[:4]!r}")
    if data[4:5] != bytes((VERSION,)):
        raise BadPublication(Fault.UNKNOWN_VERSION, f"expected version {VERSION}, got {data[4:5]!r}")
    if len(data) < _HEAD.size:
        raise BadPublication(Fault.WRONG_LENGTH, f"expected at least {_HEAD.size} bytes, got {len(data)}")
    _, _, id, header_length, frame_length, metadata_length = _HEAD.unpack_from(data)
    frame_begin = _HEAD.size + header_length
    metadata_begin = frame_begin + frame_length
    if metadata_begin + metadata_length != len(data):
        raise BadPublication(Fault.WRONG_LENGTH, f"expected {metadata_begin + metadata_length} bytes, got {len(data)}")
    try:
        header = _decoder.decode(data[_HEAD.size : frame_begin])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadPublication(Fault.BAD_HEADER, f"the header cannot be read: {error}") from None
    topics = tuple(Topic(kind, name) for kind, name in header.topics)
    if matched is not None and matched not in topics and matched not in header.users:
        raise BadPublication(
            Fault.WRONG_CHANNEL, f"{header.type} arrived for {matched}, which its audience does not name"
        )
    return (
        Publication(
            header.type, data[frame_begin:metadata_begin], topics, header.users, header.exclude, data[metadata_begin:]
        ),
        id,
    )
