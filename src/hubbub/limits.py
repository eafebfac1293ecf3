"""Every limit on what one client can cost, in one place."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from typing import Final

from hubbub.errors import ConfigurationError

if sys.platform != "win32":
    import resource

MIN_RESERVED_DESCRIPTORS: Final = 64
"""The fewest file descriptors of a process that sockets leave to its database, its logs and REST."""

RESERVED_FRACTION: Final = 0.1
"""The fraction of a process's file descriptors that sockets leave to the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one gateway, each with its unit and the reason for its default.

    Raises:
        ConfigurationError: A limit is not positive.
    """

    message_bytes: int = 64 * 1024
    """Bytes of one client message, fragments joined; a larger one is closed with 1009. Signals are small."""

    fragments_per_message: int = 64
    """Fragments of one client message; more are closed with 1009. No browser fragments messages this small. Without
    this limit, empty fragments could go on for ever: they add no bytes, and pongs between them satisfy the
    heartbeat."""

    events_per_minute: int = 120
    """Events that one socket may send a minute, subscribes and unknown types included; more are closed with 4429. It
    may send that many at once, and they come back evenly. A person who types and clicks sends 40. An event's handler
    may have a smaller rate of its own: `router.on(Typing, handler, per_minute=90)`."""

    control_frames_per_minute: int = 120
    """Pings and unsolicited pongs of one socket a minute; more are closed with 4429. Clients that ping do so every few
    seconds, and late pongs are rare."""

    sockets_per_user: int = 10
    """Sockets of one user on this node; the next one is accepted and closed with 4429. Every tab is one, and so is
    every dead connection until its heartbeat fails."""

    sockets_per_node: int | None = None
    """Sockets of this process, including handshakes that wait for their authenticator; beyond it upgrades get HTTP 503.
    None: the process's file limit (RLIMIT_NOFILE, soft), less a tenth and at least 64 for the rest of the process,
    because without descriptors it can neither accept nor open a file."""

    topics_per_socket: int = 512
    """Topics that one socket may subscribe to; those beyond it are refused. More than any screen shows."""

    unsent_bytes: int = 256 * 1024
    """Bytes that may wait for a slow client before it is closed with 4413: over a thousand signals."""

    queued_events: int = 32
    """Inbound events of one socket that may wait for their handler before reading pauses: TCP then slows the client."""

    handler_seconds: float = 10.0
    """Seconds a handler may take before it is cancelled and the client gets an error. No client waits that long."""

    handshake_seconds: float = 10.0
    """Seconds an authenticator may take before the socket is closed with 1013, so that stalled ones do not pile up."""

    header_bytes: int = 8 * 1024
    """Bytes of one request's target and headers together; beyond it 414 or 431. Proxies and servers in front of apps
    also stop at 8 KiB by default. Enforced under `hubbub run` only."""

    headers: int = 100
    """Headers of one request; beyond it 431. Browsers send twenty. Enforced under `hubbub run` only."""

    header_seconds: float = 10.0
    """Seconds from the start of the connection, or from the first byte of a later request, to the end of its headers,
    so that half a request does not hold a descriptor for long. Enforced under `hubbub run` only."""

    handshakes_per_second: float = 1000.0
    """Upgrades a second that one node handles; those beyond it get HTTP 503. A signature costs CPU: a flood of bad
    tokens must leave some for the sockets that are open."""

    handshake_burst: int = 2000
    """Upgrades that may come at once before `handshakes_per_second` counts: a deploy sends many clients here."""

    close_seconds: float = 5.0
    """Seconds a peer has to answer a close frame before the connection is aborted."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"Limits.{field.name} must be positive, got {value!r}")

    @property
    def most_sockets(self) -> float:
        """Return how many sockets this process may hold; infinity if the system sets no limit."""
        return sockets_within(_file_limit()) if self.sockets_per_node is None else self.sockets_per_node


def sockets_within(descriptors: float) -> float:
    """Return how many of a process's file descriptors may be sockets of ours; at least one."""
    return max(1, descriptors - max(MIN_RESERVED_DESCRIPTORS, descriptors * RESERVED_FRACTION // 1))


def _file_limit() -> float:
    if sys.platform == "win32":
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft
