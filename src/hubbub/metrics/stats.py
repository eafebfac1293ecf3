"""Counters of what has happened on this node, and what it holds now: the source of all metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hubbub.metrics.histogram import DURATION_BOUNDS, SIZE_BOUNDS, Histogram


@dataclass(slots=True)
class Stats:
    """What has happened on a node since it was made. Every number only rises.

    Keys come from Hubbub's own code or from the contract, never from clients, so their number is bounded.
    """

    connects: int = 0
    """Sockets that were opened and registered."""

    refusals: Counter[str] = field(default_factory=Counter)
    """Handshakes that were refused, by reason."""

    closes: Counter[int] = field(default_factory=Counter)
    """Registered sockets that were closed, by close code. A code that no peer may send counts as 1006."""

    events_in: Counter[str] = field(default_factory=Counter)
    """Events from clients, by type."""

    events_out: Counter[str] = field(default_factory=Counter)
    """Events published on this node, by type."""

    deliveries: int = 0
    """Copies of published events that were delivered to sockets."""

    over_rate: Counter[str] = field(default_factory=Counter)
    """Sockets closed with 4429 for sending too much, by what they sent: an event's type, `events` for all types
    together, or `control frames`."""

    errors: Counter[str] = field(default_factory=Counter)
    """`server.system.error` events and failed hooks and timers, by code."""

    flush_sockets: Histogram = field(default_factory=lambda: Histogram(SIZE_BOUNDS))
    """How many sockets one flush wrote to."""

    flush_seconds: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS))
    """Seconds from the first write of a flush to the end of its last, for flushes to more than 16 sockets."""

    loop_lag_seconds: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS))
    """Seconds by which the event loop ran a timer late."""

    handler_seconds: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(DURATION_BOUNDS))
    )
    """Seconds that handlers took, by the event's type, and hooks, by name. Includes what they waited for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a node holds now."""

    sockets: int
    """Registered sockets."""

    users: int
    """Users with at least one registered socket."""

    topics: int
    """Topics with at least one subscriber."""

    tasks: int
    """Handlers, hooks and handshakes in progress that wait for something."""
