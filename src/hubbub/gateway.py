"""The composition root: wires the bus together, attaches it to an ASGI app, and lives as long as the app does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from hubbub.attach import attach
from hubbub.auth import Authenticator
from hubbub.brokers.base import Outcome
from hubbub.brokers.memory import MemoryBroker
from hubbub.bus import EventBus
from hubbub.clock import Clock, SystemClock, Timer
from hubbub.connection import Connection, Hook, Node
from hubbub.contract.asyncapi import asyncapi
from hubbub.contract.events import Status
from hubbub.contract.payload_shapes import Shapes
from hubbub.contract.registry import Contract
from hubbub.dispatcher import Dispatcher
from hubbub.domains.base import Domain
from hubbub.domains.presence import PresenceDomain, to_datetime
from hubbub.domains.system import Authorize, SystemDomain, refuse_all
from hubbub.endpoint import Endpoint
from hubbub.errors import WITHDRAWN, ConfigurationError
from hubbub.frames import CodecPool
from hubbub.heartbeat import Heartbeat
from hubbub.hub import Hub
from hubbub.interests import Interests
from hubbub.jwt import DEFAULT_COOKIE
from hubbub.lifespan import ASGIApp
from hubbub.limits import Limits
from hubbub.notify import Event, current_notifier, init_notifier
from hubbub.origin import OriginPolicy
from hubbub.outbox import Outbox
from hubbub.presence.memory import MemoryPresence
from hubbub.presence.tracker import Presence
from hubbub.router import Router
from hubbub.stats import Stats

logger = logging.getLogger("hubbub.gateway")

ANNOUNCED_AT_ONCE: Final = 256
"""Changes of presence published before other work gets its turn; they take a few milliseconds."""

ANY_HOST: Final = "host.invalid"
"""Stands for the host while the AsyncAPI document is made: making it for every host that is asked would cost more."""

#: The app's hook that stores when users were last seen (UTC): called when they go offline, and for all at the end.
OnLastSeen = Callable[[Mapping[str, datetime]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PresenceState:
    """One user's announced status.

    last_seen_at: in UTC; None while online, and for users offline since before this process began or long since gone.
    """

    user_id: str
    status: Status
    last_seen_at: datetime | None


class Gateway:
    """A real-time event bus at one WebSocket endpoint of an ASGI app.

    authenticate: who opens a socket; see Authenticator and JWTAuthenticator.
    authorize: which of the topics a socket asks for it may hear; without it, none.
    domains: what the bus understands besides subscriptions and presence.
    path: where the WebSocket endpoint is.
    asyncapi_path: where the contract is served as an AsyncAPI document; None for nowhere.
    allowed_origins: see OriginPolicy; by default only pages of the same host.
    limits: what one client may cost.
    clock: where the time comes from; tests hand in one they can move.
    heartbeat_interval: seconds between two pings of one socket; it is closed when it misses two pongs.
    away_after: seconds without activity after which a user is away.
    offline_after: seconds without a socket after which a user is announced offline.
    presence_tick: seconds between announcements of presence.
    flush_interval: seconds between two flushes under load; 0 flushes in every turn of the loop.
    on_last_seen: stores when users were last seen.

    Raises ConfigurationError where these do not fit together, ContractError where an event's payload has a type that no
    client could be told about.
    """

    def __init__(
        self,
        *,
        authenticate: Authenticator,
        authorize: Authorize = refuse_all,
        domains: Sequence[Domain] = (),
        path: str = "/ws",
        asyncapi_path: str | None = "/asyncapi.json",
        allowed_origins: Collection[str] = (),
        limits: Limits | None = None,
        clock: Clock | None = None,
        heartbeat_interval: float = 25.0,
        away_after: float = 300.0,
        offline_after: float = 3.0,
        presence_tick: float = 1.0,
        flush_interval: float = 0.005,
        on_last_seen: OnLastSeen | None = None,
    ) -> None:
        if not path.startswith("/"):
            raise ConfigurationError(f"path must start with a slash, got {path!r}")
        for name, seconds, at_least in (
            ("heartbeat_interval", heartbeat_interval, 0.1),
            ("presence_tick", presence_tick, 0.01),
            ("away_after", away_after, 0.0),
            ("offline_after", offline_after, 0.0),
            ("flush_interval", flush_interval, 0.0),
        ):
            if not at_least <= seconds < math.inf:
                raise ConfigurationError(f"{name} must be at least {at_least:g} seconds, got {seconds!r}")
        self.path = path
        self.asyncapi_path = asyncapi_path
        self.stats = Stats()
        self._authenticate = authenticate
        self._authorize = authorize
        self._origins = OriginPolicy(allowed_origins)
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._presence_tick = presence_tick
        self._flush_interval = flush_interval
        self._on_last_seen = on_last_seen
        self._broker = MemoryBroker()
        self._hub: Hub[Any] = Hub()
        self._heartbeat: Heartbeat[Connection] = Heartbeat(heartbeat_interval)
        self._presence = MemoryPresence(self._clock, away_after=away_after, offline_after=offline_after)
        self._presence_domain = PresenceDomain(self._presence)
        self._domains = (self._presence_domain, *domains)
        #: Every event this gateway speaks.
        self.contract = Contract(
            [*SystemDomain.events, *(event for domain in self._domains for event in domain.events)]
        )
        Shapes(self.contract)  # raises ContractError here, at set-up, where a payload cannot be written as a schema
        self._described: tuple[tuple[str, ...], str] | None = None
        self._endpoint: Endpoint | None = None
        self._bus: EventBus | None = None
        self._timers: dict[str, Timer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0

    # --- for the app --------------------------------------------------------------------------------------------------

    def attach(self, app: ASGIApp) -> ASGIApp:
        """Lets this gateway live with an ASGI app; gives the app to serve.

        A Starlette or FastAPI app gets a middleware and is given back itself; any other app comes back wrapped. The
        gateway starts and stops with the app's lifespan.
        """
        return attach(self, app)

    @property
    def ready(self) -> bool:
        """Tells whether this node accepts sockets and its events reach everyone: what a readiness probe asks."""
        return self._endpoint is not None and self._endpoint.accepting and self._broker.ready

    async def publish(self, event: Event, *, users: Iterable[str] | None = None) -> Outcome:
        """Publishes like ``notify``, and says what became of it. On the event loop only.

        Raises ContractError where the event may not be published, ConfigurationError where the gateway does not run.
        """
        bus = self._running_bus()
        return await bus.emit_and_wait(bus.prepare(event, users))

    async def presence(self, user_ids: Iterable[str]) -> list[PresenceState]:
        """Gives the announced status of users, in the order asked."""
        return [_state(presence) for presence in self._presence.announced(user_ids)]

    def touch(self, user_id: str) -> None:
        """Records that a person did something, over REST for instance. Never waits; callable from any thread."""
        self._on_loop(self._presence.touch, user_id)

    async def disconnect(self, user_id: str, *, session: str | None = None) -> None:
        """Closes a user's sockets with 4403: all of them, or those of one session."""
        if self._endpoint is not None:
            self._endpoint.withdraw(user_id, session)
        for socket in list(self._hub.sockets_of(user_id)):
            if session is None or socket.session == session:
                socket.close(WITHDRAWN)

    def asyncapi(self, url: str, title: str, version: str) -> str:
        """Describes the contract as an AsyncAPI document in JSON.

        url: where the endpoint is, as ``wss://app.example/ws``. title, version: the app's.
        """
        parts = urlsplit(url)
        asked = (parts.scheme, parts.path, title, version)
        if self._described is None or self._described[0] != asked:
            cookie: str | None = getattr(self._authenticate, "cookie", DEFAULT_COOKIE)
            neutral = urlunsplit(parts._replace(netloc=ANY_HOST))
            self._described = (asked, asyncapi(self.contract, title=title, version=version, url=neutral, cookie=cookie))
        return self._described[1].replace(json.dumps(ANY_HOST), json.dumps(parts.netloc))

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> Endpoint:
        """Starts the bus on the running event loop; gives the endpoint that transports serve."""
        if self._endpoint is not None:
            raise ConfigurationError("this gateway already runs: one gateway serves one app in one event loop")
        loop = asyncio.get_running_loop()
        outbox: Outbox[Any] = Outbox(loop, self._flush_interval)
        interests = Interests(self._broker, self._hub)
        bus = EventBus(self.contract, self._hub, outbox, self._broker, interests, self.stats)
        node = Node(
            contract=self.contract,
            router=self._route(bus),
            hub=self._hub,
            outbox=outbox,
            heartbeat=self._heartbeat,
            dispatcher=Dispatcher(self._limits.handler_seconds),
            codecs=CodecPool(self._limits.message_bytes),
            interests=interests,
            limits=self._limits,
            clock=self._clock,
            stats=self.stats,
            presence=self._presence,
            connect_hooks=self._hooks("on_connect"),
            disconnect_hooks=self._hooks("on_disconnect"),
        )
        await self._broker.start(bus.deliver)
        self._bus, self._loop, self._thread_id = bus, loop, threading.get_ident()
        self._endpoint = Endpoint(node, self.path, self._authenticate, self._origins)
        self._every("heartbeat", self._heartbeat.step, lambda: self._heartbeat.turn(self._clock.time()))
        self._every("presence", self._presence_tick, self._announce)
        init_notifier(self._notify)
        return self._endpoint

    async def stop(self) -> None:
        """Closes what is still open, lets handlers finish, and stores when everyone was last seen."""
        if self._endpoint is None:
            return
        if current_notifier() == self._notify:
            init_notifier(None)
        self._endpoint.accepting = False
        for socket in self._hub:
            socket.restart()
        await self._endpoint.node.dispatcher.finish(self._limits.handler_seconds)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        try:
            async with asyncio.timeout(self._limits.handler_seconds):
                await self._store_last_seen(self._presence.leave())
        except TimeoutError:
            self.stats.errors["on_last_seen"] += 1
            logger.error("on_last_seen took over %g s: not stored at the end", self._limits.handler_seconds)
        await self._broker.stop()
        self._endpoint = self._bus = self._loop = None

    # --- details ------------------------------------------------------------------------------------------------------

    def _route(self, bus: EventBus) -> Router:
        system = SystemDomain(
            bus,
            self._authorize,
            topic_kinds=self.contract.topic_kinds,
            topics_per_socket=self._limits.topics_per_socket,
            snapshots=[domain for domain in self._domains if _overrides(domain, "snapshot")],
        )
        router = Router()
        for domain in (system, *self._domains):
            domain.bus = bus
            domain.register_handlers(router)
        for name, spec in self.contract.items():
            if spec.from_client and name not in router:
                raise ConfigurationError(f"no domain handles {name}: call router.on({spec.payload.__name__}, ...)")
        return router

    def _hooks(self, method: str) -> list[Hook]:
        return [
            Hook(getattr(domain, method), f"{type(domain).__name__}.{method}")
            for domain in self._domains
            if _overrides(domain, method)
        ]

    def _notify(self, event: Event, users: Iterable[str] | None) -> None:
        """Is what ``notify`` calls: checks and encodes in the caller's thread, publishes on the loop."""
        bus = self._bus
        if bus is not None:  # it may have stopped since the caller's thread looked
            self._on_loop(bus.emit, bus.prepare(event, users))

    def _on_loop(self, call: Callable[[Any], object], argument: Any) -> None:
        loop = self._loop
        if loop is None:
            return
        if threading.get_ident() == self._thread_id:
            call(argument)
            return
        with contextlib.suppress(RuntimeError):  # the loop has closed: there is no bus any more
            loop.call_soon_threadsafe(call, argument)

    def _running_bus(self) -> EventBus:
        if self._bus is None:
            raise ConfigurationError("the gateway does not run: attach it to the app, and serve that with lifespan on")
        return self._bus

    def _every(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Calls every ``seconds``, without drift; a loop that was late does not catch up in a burst."""
        due = self._clock.monotonic() + seconds

        def tick() -> None:
            nonlocal due
            now = self._clock.monotonic()
            due = max(due + seconds, now)
            self._timers[name] = self._clock.call_later(due - now, tick)
            try:
                call()
            except Exception:
                self.stats.errors[name] += 1
                logger.exception("the %s tick failed", name)

        self._timers[name] = self._clock.call_later(seconds, tick)

    def _announce(self) -> None:
        endpoint = self._endpoint
        if endpoint is None or not endpoint.accepting:  # users of a node that drains are on their way to another
            return
        announcements = self._presence.tick()
        self._presence_domain.announce(announcements[:ANNOUNCED_AT_ONCE])
        if len(announcements) > ANNOUNCED_AT_ONCE:
            endpoint.node.dispatcher.spawn(self._announce_slowly(announcements[ANNOUNCED_AT_ONCE:]))
        gone = {
            presence.user_id: presence.last_seen
            for presence in announcements
            if presence.status == "offline" and presence.last_seen is not None
        }
        if gone:
            endpoint.node.dispatcher.spawn(self._store_last_seen(gone))

    async def _announce_slowly(self, announcements: Sequence[Presence]) -> None:
        """Lets the loop turn between slices: after a network failure everybody may change at once."""
        for start in range(0, len(announcements), ANNOUNCED_AT_ONCE):
            await asyncio.sleep(0)
            self._presence_domain.announce(announcements[start : start + ANNOUNCED_AT_ONCE])

    async def _store_last_seen(self, seen: Mapping[str, float]) -> None:
        if self._on_last_seen is None or not seen:
            return
        try:
            await self._on_last_seen({user_id: to_datetime(seconds) for user_id, seconds in seen.items()})
        except Exception:
            self.stats.errors["on_last_seen"] += 1
            logger.exception("on_last_seen failed for %d users", len(seen))


def _overrides(domain: Domain, method: str) -> bool:
    """Tells whether a domain has a hook of its own; found out once, so that none costs nothing per socket."""
    return getattr(type(domain), method) is not getattr(Domain, method)


def _state(presence: Presence) -> PresenceState:
    seen = None if presence.last_seen is None else to_datetime(presence.last_seen)
    return PresenceState(presence.user_id, presence.status, seen)
