"""What a connection needs of the transport that carries its bytes."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """The transport of one socket."""

    def write(self, data: bytes) -> object:
        """Send the bytes of one or more frames; never wait."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and end the connection, within a bounded time whatever the peer does."""

    def fail(self, code: int, reason: str) -> None:
        """Do the same for a fault of the peer, and ignore everything else that it sends (RFC 6455 section 7.1.7)."""

    def pause_reading(self) -> None:
        """Stop reading: TCP then slows the peer."""

    def resume_reading(self) -> None:
        """Read again."""
