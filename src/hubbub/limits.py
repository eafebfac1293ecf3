"""Every bound on what one client can cost, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hubbub.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one gateway, each with its unit and the reason for its default."""

    message_bytes: int = 64 * 1024
    """Bytes of one client message, fragments joined. Signals are small: a message beyond it is closed with 1009."""

    topics_per_socket: int = 512
    """Topics one socket may subscribe to; those beyond it are refused. More than any screen shows."""

    unsent_bytes: int = 256 * 1024
    """Bytes that may wait for a slow client before it is closed with 4413: over a thousand signals."""

    queued_events: int = 32
    """Inbound events of one socket waiting for their handler before reading pauses: TCP then slows the client."""

    handler_seconds: float = 10.0
    """Seconds a handler may take before it is cancelled and the client told. The client has long stopped waiting."""

    handshake_seconds: float = 10.0
    """Seconds an authenticator may take before the socket is closed with 1013, so that stalled ones do not pile up."""

    close_seconds: float = 5.0
    """Seconds a peer has to answer a close frame before the connection is aborted."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigurationError(f"Limits.{field.name} must be positive, got {getattr(self, field.name)!r}")
