"""Every bound on what one client can cost, in one place."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from typing import Final

from hubbub.errors import ConfigurationError

if sys.platform != "win32":
    import resource

RESERVED_DESCRIPTORS: Final = 64
"""File descriptors of a process that are left for other things than sockets at least: its database, logs, REST."""

RESERVED_PART: Final = 0.1
"""The part of a process's file descriptors that is left for other things, where that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one gateway, each with its unit and the reason for its default."""

    message_bytes: int = 64 * 1024
    """Bytes of one client message, fragments joined. Signals are small: a message beyond it is closed with 1009."""

    fragments_per_message: int = 64
    """Fragments of one client message: more are closed with 1009. Empty ones pass the limit on bytes for ever, and
    pongs between them satisfy the heartbeat. No browser fragments messages this small."""

    events_per_minute: int = 120
    """Events one socket may send a minute, subscribes and unknown types included; more are closed with 4429. It may
    send that many at once, and they come back evenly. A person who types and clicks sends 40. An event's handler may
    have a smaller rate of its own: ``router.on(Typing, handler, per_minute=90)``."""

    control_frames_per_minute: int = 120
    """Pings of one socket a minute, and pongs that nobody asked for; more are closed with 4429. Clients that ping do so
    every few seconds, and a late pong is one of few."""

    sockets_per_user: int = 10
    """Sockets of one user on this node; the next one is accepted and closed with 4429. Every tab is one, and so is
    every dead connection until its heartbeat fails."""

    sockets_per_node: int | None = None
    """Sockets of this process, with the handshakes that wait for their authenticator; beyond it upgrades get HTTP 503.
    None for what the process's file limit (RLIMIT_NOFILE, soft) leaves after a tenth, and at least 64, for the rest:
    without descriptors a process can neither accept nor open a file."""

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

    header_bytes: int = 8 * 1024
    """Bytes of one request's target and headers together; beyond it 414 or 431. Proxies and servers in front of apps
    stop at 8 KiB by default as well. Held under ``hubbub run`` only."""

    headers: int = 100
    """Headers of one request; beyond it 431. Browsers send twenty. Held under ``hubbub run`` only."""

    header_seconds: float = 10.0
    """Seconds from the first byte of a request, or from the connection's start, to the end of its headers, so that
    half a request holds no descriptor for long. Held under ``hubbub run`` only."""

    handshakes_per_second: float = 1000.0
    """Upgrades a second that one node looks at; those beyond it get HTTP 503. A signature costs CPU: a flood of bad
    tokens must leave some for the sockets that are open."""

    handshake_burst: int = 2000
    """Upgrades that may come at once before ``handshakes_per_second`` counts: a deploy sends many clients here."""

    close_seconds: float = 5.0
    """Seconds a peer has to answer a close frame before the connection is aborted."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ConfigurationError(f"Limits.{field.name} must be positive, got {value!r}")

    @property
    def most_sockets(self) -> float:
        """Gives the sockets that this process may hold; infinity where the system sets no limit."""
        return sockets_within(_file_limit()) if self.sockets_per_node is None else self.sockets_per_node


def sockets_within(descriptors: float) -> float:
    """Gives how many of a process's file descriptors may be sockets of ours; at least one."""
    return max(1, descriptors - max(RESERVED_DESCRIPTORS, descriptors * RESERVED_PART // 1))


def _file_limit() -> float:
    if sys.platform == "win32":
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft
