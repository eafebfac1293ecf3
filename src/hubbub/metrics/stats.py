"""What has happened on this node, counted: the source of metrics, and of the one log line per refusal."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hubbub.metrics.histogram import SECONDS, SIZES, Histogram


@dataclass(slots=True)
class Stats:
    """What only rises. Every key comes from our own code or contract, so each has a bounded set of keys."""

    connects: int = 0
    """Sockets that were registered."""

    refusals: Counter[str] = field(default_factory=Counter)
    """Handshakes that were refused, by reason."""

    closes: Counter[int] = field(default_factory=Counter)
    """Registered sockets that are gone, by close code; codes no peer should send are counted as 1006."""

    events_in: Counter[str] = field(default_factory=Counter)
    """Events from clients, by type."""

    events_out: Counter[str] = field(default_factory=Counter)
    """Published events, by type."""

    deliveries: int = 0
    """Copies of published events handed to sockets."""

    over_rate: Counter[str] = field(default_factory=Counter)
    """Sockets closed with 4429 for sending too much, by what: an event's type, ``events`` of all types, or control
    frames."""

    errors: Counter[str] = field(default_factory=Counter)
    """``server.system.error`` events and failed hooks, by code."""

    flush_sockets: Histogram = field(default_factory=lambda: Histogram(SIZES))
    """Sockets that one flush wrote to."""

    flush_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """Time from a flush's first write until the system had taken its last, of those to more than a handful."""

    loop_lag_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """How late a tick was: the longest that anything on the event loop has kept it waiting."""

    handler_seconds: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(SECONDS))
    )
    """Time that handlers took, by the event's type, and hooks, by name; what they waited for included."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a node holds at this moment."""

    sockets: int
    """Registered sockets."""

    users: int
    """Users with at least one registered socket."""

    topics: int
    """Topics with at least one subscriber."""

    tasks: int
    """Handlers, hooks and handshakes that wait for something."""
