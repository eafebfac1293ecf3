"""Ids that sort by time: UUIDs of version 7 (RFC 9562 section 5.7)."""

from __future__ import annotations

import secrets
import time
from uuid import UUID

_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_RANDOM_BITS = ~(0xF << 76 | 0b11 << 62) & (1 << 80) - 1


def new_id(after: str | None = None) -> str:
    """Return a new id.

    Args:
        after: an id that the new one must be greater than, even if the clocks of two nodes differ.
    """
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | _VERSION_AND_VARIANT | secrets.randbits(80) & _RANDOM_BITS
    if after is not None:
        # The low 62 bits are random: counting up from them never reaches the version bits in practice.
        value = max(value, UUID(after).int + 1)
    return str(UUID(int=value))
