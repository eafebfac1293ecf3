"""The result of publishing an event."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The result of publishing an event."""

    ACCEPTED = "accepted"
    """On its way to every node with a socket that hears it."""
    DROPPED = "dropped"
    """Not sent: the sockets that should have heard it get a resync."""
    UNKNOWN = "unknown"
    """Sent, but not confirmed in time: the sockets that should hear it get a resync."""
