"""Where events travel and presence is kept: in this process alone, or in Redis for many nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from hubbub.brokers.base import Broker, Deliver, Lost
from hubbub.brokers.memory import MemoryBroker
from hubbub.bus.commands import COMMAND
from hubbub.bus.hub import Hub
from hubbub.clock import Clock
from hubbub.contract.topics import Interest
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore
from hubbub.presence.memory import MemoryPresence


class PresenceSettings(NamedTuple):
    """The seconds that presence goes by; see Gateway."""

    away_after: float
    offline_after: float
    tick: float


class Backends:
    """A broker, the store of presence that goes with it, and what each must hear of the other.

    Raises ConfigurationError where the URL is none or the Redis client is not installed.
    """

    def __init__(
        self,
        redis_url: str | None,
        redis_prefix: str,
        settings: PresenceSettings,
        clock: Clock,
        stats: Stats,
        hub: Hub[Any],
    ) -> None:
        self.broker: Broker
        self.presence: PresenceStore
        if redis_url is None:
            self.broker = MemoryBroker()
            self.presence = MemoryPresence(clock, away_after=settings.away_after, offline_after=settings.offline_after)
            self._shared = None
            return
        # Imported where they are wanted: the client library is an extra.
        from hubbub.brokers.redis.broker import RedisBroker
        from hubbub.presence.redis.presence import RedisPresence

        self.broker = RedisBroker(redis_url, stats=stats, kept=(COMMAND,), prefix=redis_prefix)
        self.presence = self._shared = RedisPresence(
            redis_url, clock=clock, stats=stats, hears=hub.hears, prefix=redis_prefix, **settings._asdict()
        )

    async def start(self, deliver: Deliver, lost: Lost) -> None:
        """Starts the broker; presence is started by whoever announces it."""
        shared = self._shared
        if shared is None:
            await self.broker.start(deliver, lost)
            return

        def lost_both(interests: Iterable[Interest] | None) -> None:
            known = None if interests is None else list(interests)
            lost(known)
            shared.lost(known)

        shared.deliver = deliver
        await self.broker.start(deliver, lost_both)

    @property
    def forget(self) -> Callable[[Sequence[Interest]], None]:
        """Gives who is to be told of interests that were withdrawn."""
        return _nothing if self._shared is None else self._shared.forget


def _nothing(interests: Sequence[Interest]) -> None:
    """Is told of interests that nobody keeps anything for."""
