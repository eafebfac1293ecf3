"""What a socket can subscribe to."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

import msgspec

MAX_ID_LENGTH: Final = 128
KIND_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")

# Half of a surrogate pair has no UTF-8. An id with one in it would break the encoding of every event that carries it.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Topic(msgspec.Struct, frozen=True, gc=False):
    """A stream of events, such as one conversation: `{kind, id}` on the wire, `kind:id` as a string."""

    kind: str
    """What sort of stream: it matches `KIND_PATTERN`."""
    id: str
    """Which one of the sort, as the app names it; `is_valid_id` says what is allowed."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """Return the topic that `str` wrote.

        Raises:
            ValueError: The text is not `kind:id` with a valid kind and id.
        """
        kind, separator, id = text.partition(":")
        if not separator or not KIND_PATTERN.fullmatch(kind) or not is_valid_id(id):
            raise ValueError(f"expected kind:id, got {text!r}")
        return cls(kind, id)


Interest: TypeAlias = Topic | str
"""What a node can listen to: a topic, or a user by id, for the events addressed to that user ("self")."""


def is_valid_id(id: str) -> bool:
    """Return whether a topic or user id is usable: 1 to 128 characters, no control character, no lone surrogate."""
    return 0 < len(id) <= MAX_ID_LENGTH and not _UNUSABLE.search(id)
