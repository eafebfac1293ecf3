"""A change of presence as a publication: the event's frame for sockets, and metadata for the nodes."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from hubbub.brokers.base import Publication
from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.events import PresenceUpdate, Status
from hubbub.contract.registry import spec_of
from hubbub.contract.topics import Topic
from hubbub.frames import text_frame
from hubbub.presence.tracker import Presence

UPDATE: Final = spec_of(PresenceUpdate).name

VERSION_FORMAT: Final = struct.Struct("!Q")
"""A version: the last 8 bytes of the metadata. Whatever decides that the change happens appends them."""

_Metadata = tuple[str, Status, float | None]
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final[msgspec.msgpack.Decoder[_Metadata]] = msgspec.msgpack.Decoder(_Metadata)


class BadUpdate(ValueError):
    """A publication that should carry a change of presence, and does not."""


def publication_of(presence: Presence, version: int | None = None) -> Publication:
    """Return a change of status as a publication for the user's watchers and the user's own sockets.

    Args:
        presence: The status; its `last_seen` is in seconds since the epoch.
        version: Rises with each change of the user; None if a script appends it later.
    """
    metadata = _encoder.encode((presence.user_id, presence.status, presence.last_seen))
    if version is not None:
        metadata += VERSION_FORMAT.pack(version)
    event = PresenceUpdate(presence.user_id, presence.status, last_seen_at(presence.last_seen))
    frame = text_frame(encode(Envelope.of(event)))
    return Publication(UPDATE, frame, (Topic("user", presence.user_id),), (presence.user_id,), metadata=metadata)


def read_update(publication: Publication) -> tuple[Presence, int]:
    """Return the change in a publication, and its version, without decoding the frame.

    Raises:
        BadUpdate: It carries no change of presence.
    """
    metadata = publication.metadata
    try:
        presence = Presence(*_decoder.decode(metadata[: -VERSION_FORMAT.size]))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadUpdate(f"expected a user, a status and when seen: {error}") from None
    if publication.users != (presence.user_id,):
        raise BadUpdate(f"it is about {presence.user_id!r}, and is addressed to {publication.users!r}")
    return presence, VERSION_FORMAT.unpack(metadata[-VERSION_FORMAT.size :])[0]


def last_seen_at(seconds: float | None) -> str | UnsetType:
    """Return a time as the wire has it: ISO 8601 in UTC, to the millisecond; UNSET if it is not known."""
    return UNSET if seconds is None else to_datetime(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_datetime(seconds: float) -> datetime:
    """Return seconds since the epoch as a time in UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
