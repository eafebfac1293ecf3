"""What became of a published event."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """What became of a published event."""

    ACCEPTED = "accepted"
    """On its way to every node that listens."""
    DROPPED = "dropped"
    """Not sent: its listeners get a resync."""
    UNKNOWN = "unknown"
    """Sent, but nobody confirmed it in time: its listeners get a resync."""
