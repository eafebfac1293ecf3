"""The broker and the presence store of a node: given by the app, chosen by `redis_url`, or in memory."""

from __future__ import annotations

from typing import NamedTuple

from hubbub.brokers.base import REPLAYABLE, Broker
from hubbub.brokers.memory import MemoryBroker
from hubbub.clock import Clock
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore
from hubbub.presence.memory import MemoryPresence


class PresenceSettings(NamedTuple):
    """Presence timing, in seconds; see `Gateway`."""

    away_after: float
    offline_after: float
    tick: float


def make_broker(
    broker: Broker | None, redis_url: str | None, redis_prefix: str, stats: Stats, *, replays: bool = True
) -> Broker:
    """Return the app's broker, or make the one of `redis_url`, or one in memory.

    Args:
        broker: The app's.
        redis_url: The Redis that all nodes share; None for a single process.
        redis_prefix: The start of names there.
        stats: Where a new broker counts losses.
        replays: Whether a new broker replays missed commands after a gap. A process without sockets needs none.

    Raises:
        ConfigurationError: Both are given, the URL is not valid, or the Redis client is not installed.
    """
    if broker is not None:
        if redis_url is not None:
            raise ConfigurationError("give either broker or redis_url: redis_url is short for a broker over Redis")
        return broker
    if redis_url is None:
        return MemoryBroker()
    from hubbub.brokers.redis.broker import RedisBroker  # imported when it is needed: the client library is an extra

    return RedisBroker(redis_url, stats=stats, replayable=REPLAYABLE if replays else (), prefix=redis_prefix)


def make_presence(
    presence: PresenceStore | None,
    redis_url: str | None,
    redis_prefix: str,
    settings: PresenceSettings,
    clock: Clock,
    stats: Stats,
) -> PresenceStore:
    """Return the app's presence store, or make the one of `redis_url`, or one in memory.

    Args:
        presence: The app's.
        redis_url: The Redis that all nodes share; None for a single process.
        redis_prefix: The start of names there.
        settings: The timing of a new store.
        clock: The time for a new store.
        stats: Where a new store counts faults.

    Raises:
        ConfigurationError: Both are given, the URL is not valid, or the Redis client is not installed.
    """
    if presence is not None:
        if redis_url is not None:
            raise ConfigurationError("give either presence or redis_url: redis_url is short for presence in Redis")
        return presence
    if redis_url is None:
        return MemoryPresence(clock, away_after=settings.away_after, offline_after=settings.offline_after)
    from hubbub.presence.redis.presence import RedisPresence  # imported when it is needed, like the broker

    return RedisPresence(redis_url, clock=clock, stats=stats, prefix=redis_prefix, **settings._asdict())
