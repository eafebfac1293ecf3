"""The gateway: wires the bus together, attaches it to an ASGI app, and lives as long as the app does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from hubbub.asgi.middleware import attach
from hubbub.auth.authenticator import Authenticator
from hubbub.auth.jwt import DEFAULT_COOKIE
from hubbub.auth.origin import OriginPolicy
from hubbub.brokers.base import COMMAND, Broker
from hubbub.bus.commands import BEST_EFFORT, Command, Commands, Disconnect, Revoke, Touch
from hubbub.bus.event_bus import EventBus
from hubbub.bus.hub import Hub
from hubbub.bus.interests import Interests
from hubbub.bus.notifier import Event, current_notifier, init_notifier
from hubbub.bus.publication import prepare
from hubbub.bus.resync import ResyncScheduler
from hubbub.bus.write_batcher import WriteBatcher
from hubbub.clock import Clock, SystemClock
from hubbub.close_codes import WITHDRAWN
from hubbub.connections.admission import Admission
from hubbub.connections.connection import Connection
from hubbub.connections.dispatcher import Dispatcher
from hubbub.connections.heartbeat import Heartbeat
from hubbub.connections.router import Router
from hubbub.connections.services import Hook, Services
from hubbub.connections.timers import PeriodicTimers
from hubbub.contract.registry import Contract
from hubbub.contract.topics import Interest, Topic
from hubbub.domains.base import Domain
from hubbub.domains.presence import PresenceDomain
from hubbub.domains.system import Authorize, SystemDomain, refuse_all
from hubbub.engines import PresenceSettings, make_broker, make_presence
from hubbub.errors import ConfigurationError
from hubbub.frames import CodecPool
from hubbub.limits import Limits
from hubbub.metrics.stats import Load, Stats
from hubbub.outcome import Outcome
from hubbub.presence.announcer import Announcer, OnLastSeen
from hubbub.presence.base import PresenceState, PresenceStore
from hubbub.presence.touch_throttle import TouchThrottle
from hubbub.presence.updates import UPDATE, to_datetime
from hubbub.transports.asgi import ASGIApp

logger = logging.getLogger("hubbub.gateway")

COMMAND_RETRY_SECONDS: Final = 1.0
"""The time between two attempts to send the commands that the broker did not accept."""


class _Running(NamedTuple):
    """What exists while the gateway runs."""

    loop: asyncio.AbstractEventLoop
    thread_id: int
    bus: EventBus
    admission: Admission
    announcer: Announcer
    timers: PeriodicTimers


class Gateway:
    """A real-time event bus at one WebSocket endpoint of an ASGI app.

    Args:
        authenticate: Says who opens a socket; see `Authenticator` and `JWTAuthenticator`.
        authorize: Says which of the topics that a socket asks for it may hear; by default none.
        domains: What the bus understands besides subscriptions and presence.
        path: Where the WebSocket endpoint is.
        asyncapi_path: Where the contract is served as an AsyncAPI document; None for nowhere.
        allowed_origins: See `OriginPolicy`; by default only pages of the same host.
        limits: Limits per client and per node; see `Limits`.
        clock: The time; tests pass one that they can move.
        heartbeat_interval: Seconds between two pings of one socket. A socket that misses two pongs is closed.
        away_after: Seconds without activity after which a user is away.
        offline_after: Seconds without a socket after which a user is announced offline.
        presence_tick: Seconds between announcements of presence.
        flush_interval: The longest time between two flushes under load, in seconds. After a flush to few sockets the
            next one comes sooner; 0 flushes in every turn of the loop.
        on_last_seen: Stores when users were last seen.
        redis_url: The Redis that all nodes share, such as `redis://host:6379`; None for a single process.
        redis_prefix: The start of keys and channels there, so that several apps can share a server.
        broker: Carries events between nodes, in place of `redis_url`; see `hubbub.brokers.base.Broker`, which may
            still change in any release. It has settings of its own, so `redis_prefix` does not apply to it.
        presence: Keeps presence, in place of `redis_url`; see `hubbub.presence.base.PresenceStore`, which may still
            change too. It has settings of its own: `away_after` and `offline_after` do not apply to it. By default
            presence is counted in this process alone: give both if the broker connects several nodes, or each node
            announces what it alone sees.

    Raises:
        ConfigurationError: The arguments do not fit together.
        ContractError: An event's payload has a type that cannot be described to clients.
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
        flush_interval: float = 0.009,
        on_last_seen: OnLastSeen | None = None,
        redis_url: str | None = None,
        redis_prefix: str = "hubbub",
        broker: Broker | None = None,
        presence: PresenceStore | None = None,
    ) -> None:
        # Imported here, so that `import hubbub` stays quick: most of what is imported there needs no export.
        from hubbub.contract.export.asyncapi import AsyncAPICache
        from hubbub.contract.export.walk import walk

        if not path.startswith("/"):
            raise ConfigurationError(f"path must start with a slash, got {path!r}")
        for name, seconds, minimum in (
            ("heartbeat_interval", heartbeat_interval, 0.1),
            ("presence_tick", presence_tick, 0.01),
            ("away_after", away_after, 0.0),
            ("offline_after", offline_after, 0.0),
            ("flush_interval", flush_interval, 0.0),
        ):
            if not minimum <= seconds < math.inf:
                raise ConfigurationError(f"{name} must be at least {minimum:g} seconds, got {seconds!r}")
        self.path = path
        self.asyncapi_path = asyncapi_path
        self.stats = Stats()
        """What has happened on this node, counted."""
        self._authenticate = authenticate
        self._authorize = authorize
        self._origins = OriginPolicy(allowed_origins)
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._presence_tick = presence_tick
        self._flush_interval = flush_interval
        self._on_last_seen = on_last_seen
        settings = PresenceSettings(away_after, offline_after, presence_tick)
        self._broker = make_broker(broker, redis_url, redis_prefix, self.stats)
        self._presence = make_presence(presence, redis_url, redis_prefix, settings, self._clock, self.stats)
        self._hub: Hub[Any] = Hub()
        self._heartbeat: Heartbeat[Connection] = Heartbeat(heartbeat_interval)
        self._domains = (PresenceDomain(self._presence), *domains)
        self.contract = Contract(
            [*SystemDomain.events, *(event for domain in self._domains for event in domain.events)]
        )
        """Every event this gateway speaks."""
        walk(self.contract)  # raises ContractError at set-up if a payload cannot be written as a schema
        self._asyncapi = AsyncAPICache(self.contract, getattr(authenticate, "cookie", DEFAULT_COOKIE))
        self._touches = TouchThrottle(self._clock)
        self._commands = Commands(
            self._broker,
            self.stats,
            {
                Disconnect: self._apply_disconnect,
                Revoke: self._apply_revoke,
                Touch: lambda command: self._presence.touch(command.user_id),
            },
        )
        self._running: _Running | None = None

    # --- for the app --------------------------------------------------------------------------------------------------

    def attach(self, app: ASGIApp) -> ASGIApp:
        """Attach this gateway to an ASGI app; it starts and stops with the app's lifespan.

        Returns:
            The app to serve. A Starlette or FastAPI app gets a middleware and is returned itself; any other app is
            returned wrapped.
        """
        return attach(self, app)

    @property
    def ready(self) -> bool:
        """Return whether this node accepts sockets and its events reach everyone: what a readiness probe asks."""
        return self._running is not None and self._running.admission.accepting and self._broker.ready

    @property
    def is_shared(self) -> bool:
        """Return whether this is one node of many that act as one bus."""
        return self._presence.is_shared

    @property
    def load(self) -> Load:
        """Return what this node holds at this moment; `stats` counts what has happened."""
        tasks = 0 if self._running is None else len(self._running.admission.services.dispatcher)
        return Load(len(self._hub), self._hub.user_count, self._hub.topic_count, tasks)

    async def publish(self, event: Event, *, users: Iterable[str] | None = None) -> Outcome:
        """Publish like `notify`, and return the outcome. On the event loop only.

        Args:
            event: A payload or an envelope.
            users: For an event declared `addressed`, the users whose sockets hear it.

        Raises:
            ContractError: The event may not be published.
            ConfigurationError: The gateway does not run.
        """
        if self._running is None:
            raise ConfigurationError("the gateway does not run: attach it to the app, and serve that with lifespan on")
        return await self._running.bus.emit_and_wait(prepare(self.contract, event, users))

    async def presence(self, user_ids: Iterable[str]) -> list[PresenceState]:
        """Return the announced status of users, in the order asked.

        Raises:
            Unavailable: It cannot be read at the moment: over REST, that is a 503.
        """
        return [
            PresenceState(user_id, status, None if last_seen is None else to_datetime(last_seen))
            for user_id, status, last_seen in await self._presence.announced(user_ids)
        ]

    def touch(self, user_id: str) -> None:
        """Record that a person did something, for instance over REST. Never waits; callable from any thread."""
        self._call_on_loop(self._touch, user_id)

    async def disconnect(self, user_id: str, *, session: str | None = None) -> Outcome:
        """Close a user's sockets with 4403 on every node: all of them, or those of one session.

        Withdraw the session first in whatever `authenticate` looks at: otherwise the client reconnects with it. If
        the outcome is not ACCEPTED, the sockets of this node are closed, and the other nodes hear of it as soon as
        possible.
        """
        return await self._broadcast(Disconnect(user_id, session))

    async def revoke(self, user_id: str, topic: Topic) -> Outcome:
        """Take a topic away from a user's sockets on every node; `subscribed` tells each of them what is left.

        Change what `authorize` looks at first: otherwise a subscribe under way can bring the topic back. No event of
        the topic that is published after this returns reaches the user. For the outcome, see `disconnect`.
        """
        return await self._broadcast(Revoke(user_id, topic))

    def asyncapi(self, url: str, title: str, version: str) -> str:
        """Return the contract as an AsyncAPI document in JSON.

        Args:
            url: Where the endpoint is, such as `wss://app.example/ws`.
            title: The app's title.
            version: The app's version.
        """
        return self._asyncapi.document(url, title, version)

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def admission(self) -> Admission | None:
        """Return what transports ask to admit sockets; None if this gateway does not run in this event loop."""
        running = self._running
        return running.admission if running is not None and running.loop is asyncio.get_running_loop() else None

    async def start(self) -> Admission:
        """Start the bus on the running event loop, and return what transports ask to admit sockets.

        Raises:
            ConfigurationError: It runs already, or cannot connect to the broker or the presence store.
        """
        if self._running is not None and self._running.loop.is_closed():  # a test client that never stopped it
            self._running.timers.stop()
            self._running = None
        if self._running is not None:
            raise ConfigurationError("this gateway already runs: one gateway serves one app in one event loop")
        loop = asyncio.get_running_loop()
        batcher: WriteBatcher[Any] = WriteBatcher(loop, self._flush_interval, self.stats)
        interests = Interests(self._broker, self._hub, self._presence.forget)
        receive = self._commands.receive
        interceptors = {COMMAND: receive, BEST_EFFORT: receive, UPDATE: self._presence.observe}
        bus = EventBus(self.contract, self._hub, batcher, self._broker, interests, self.stats, interceptors)
        services = Services(
            contract=self.contract,
            router=self._make_router(bus),
            hub=self._hub,
            batcher=batcher,
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
        announcer = Announcer(
            self._presence,
            bus,
            has_listeners=self._hub.has_listeners,
            spawn=services.dispatcher.spawn,
            stats=self.stats,
            on_last_seen=self._on_last_seen,
            timeout=self._limits.handler_seconds,
        )
        resyncs = ResyncScheduler(self._hub, self._clock, batcher.send)

        def on_loss(interests: Iterable[Interest] | None) -> None:
            lost = None if interests is None else list(interests)
            resyncs.on_loss(lost)
            self._presence.on_loss(lost)

        await self._broker.start(bus.deliver, on_loss)
        try:
            await announcer.start()
        except BaseException:
            await self._broker.stop()
            raise
        admission = Admission(services, self.path, self._authenticate, self._origins)
        timers = PeriodicTimers(self._clock, self.stats)
        self._running = _Running(loop, threading.get_ident(), bus, admission, announcer, timers)
        timers.every(self._heartbeat.step, "heartbeat", lambda: self._heartbeat.turn(self._clock.time()))
        timers.every(self._presence_tick, "presence", self._announce)
        timers.every(COMMAND_RETRY_SECONDS, "commands", self._commands.retry)
        init_notifier(self._notify)
        return admission

    async def stop(self) -> None:
        """Close the sockets that are still open, let handlers finish, and store when users were last seen."""
        running = self._running
        if running is None:
            return
        if current_notifier() == self._notify:
            init_notifier(None)
        running.admission.accepting = False
        for socket in self._hub:
            socket.restart()
        await running.admission.services.dispatcher.finish(self._limits.handler_seconds)
        running.timers.stop()
        await running.announcer.stop()
        await self._broker.stop()
        self._running = None

    # --- details ------------------------------------------------------------------------------------------------------

    def _make_router(self, bus: EventBus) -> Router:
        system = SystemDomain(
            bus,
            self._authorize,
            topic_kinds=self.contract.topic_kinds,
            topics_per_socket=self._limits.topics_per_socket,
            snapshots=[domain for domain in self._domains if _overrides(domain, "snapshot")],
        )
        router = Router()
        for domain in (system, *self._domains):
            domain.bind(bus)
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
        """Do what `notify` does: check and encode in the caller's thread, publish on the loop."""
        running = self._running
        if running is not None:  # it may have stopped since the caller's thread looked
            self._call_on_loop(running.bus.emit, prepare(self.contract, event, users))

    def _call_on_loop(self, call: Callable[[Any], object], argument: Any) -> None:
        running = self._running
        if running is None:
            return
        if threading.get_ident() == running.thread_id:
            call(argument)
            return
        with contextlib.suppress(RuntimeError):  # the loop has closed: there is no bus any more
            running.loop.call_soon_threadsafe(call, argument)

    def _announce(self) -> None:
        running = self._running
        if running is None:
            return
        # Stop announcing while a single node drains: users may reconnect after its restart.
        if self._presence.is_shared or running.admission.accepting:
            running.announcer.tick()

    def _touch(self, user_id: str) -> None:
        if not self._presence.touch(user_id) and self._presence.is_shared and self._touches.allows(user_id):
            self._commands.send_best_effort(Touch(user_id))

    async def _broadcast(self, command: Command) -> Outcome:
        return Outcome.DROPPED if self._running is None else await self._commands.broadcast(command)

    def _apply_disconnect(self, command: Disconnect) -> None:
        if self._running is not None:
            self._running.admission.withdraw(command.user_id, command.session)
        for socket in list(self._hub.listeners(command.user_id)):
            if command.session in (None, socket.session):
                socket.close(WITHDRAWN)

    def _apply_revoke(self, command: Revoke) -> None:
        if self._running is not None:
            self._running.bus.revoke(command.user_id, command.topic)


def _overrides(domain: Domain, method: str) -> bool:
    """Return whether a domain has a hook of its own. Found out once: a missing hook costs nothing per socket."""
    return getattr(type(domain), method) is not getattr(Domain, method)
