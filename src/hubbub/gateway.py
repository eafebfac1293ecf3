"""The composition root: wires the bus together, attaches it to an ASGI app, and lives as long as the app does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from hubbub.asgi.middleware import attach
from hubbub.auth.authenticator import Authenticator
from hubbub.auth.jwt import DEFAULT_COOKIE
from hubbub.auth.origin import OriginPolicy
from hubbub.bus.commands import COMMAND, MENTION, Command, Commands, Disconnect, Revoke, Touch
from hubbub.bus.event_bus import EventBus
from hubbub.bus.hub import Hub
from hubbub.bus.interests import Interests
from hubbub.bus.notifier import Event, current_notifier, init_notifier
from hubbub.bus.publication import prepare
from hubbub.bus.resync import Resyncs
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
from hubbub.contract.events import PresenceUpdate, Status
from hubbub.contract.export.description import Description
from hubbub.contract.export.payload_shapes import Shapes
from hubbub.contract.registry import Contract, spec_of
from hubbub.contract.topics import Topic
from hubbub.domains.announcer import Announcer, OnLastSeen
from hubbub.domains.base import Domain
from hubbub.domains.presence import PresenceDomain
from hubbub.domains.system import Authorize, SystemDomain, refuse_all
from hubbub.engines import Backends, PresenceSettings
from hubbub.errors import ConfigurationError
from hubbub.frames import CodecPool
from hubbub.limits import Limits
from hubbub.metrics.stats import Load, Stats
from hubbub.outcome import Outcome
from hubbub.presence.touches import Touches
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import to_datetime
from hubbub.transports.asgi import ASGIApp

logger = logging.getLogger("hubbub.gateway")

COMMAND_RETRY_SECONDS: Final = 1.0
"""The time between two attempts to send what the broker did not take."""


@dataclass(frozen=True, slots=True)
class PresenceState:
    """One user's announced status.

    user_id: whose. status: as it was last announced.
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
    flush_interval: seconds between two flushes under load at most: after one that wrote to few sockets the next comes
        sooner; 0 flushes in every turn of the loop.
    on_last_seen: stores when users were last seen.
    redis_url: ``redis://…``: where any number of processes meet to act as one bus; None for this process alone.
    redis_prefix: what keys and channels there begin with, so that several apps can share a server.

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
        flush_interval: float = 0.009,
        on_last_seen: OnLastSeen | None = None,
        redis_url: str | None = None,
        redis_prefix: str = "hubbub",
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
        #: What has happened on this node, counted.
        self.stats = Stats()
        self._authenticate = authenticate
        self._authorize = authorize
        self._origins = OriginPolicy(allowed_origins)
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._presence_tick = presence_tick
        self._flush_interval = flush_interval
        self._on_last_seen = on_last_seen
        self._hub: Hub[Any] = Hub()
        settings = PresenceSettings(away_after, offline_after, presence_tick)
        self._backends = Backends(redis_url, redis_prefix, settings, self._clock, self.stats, self._hub)
        self._broker = self._backends.broker
        self._presence = self._backends.presence
        self._heartbeat: Heartbeat[Connection] = Heartbeat(heartbeat_interval)
        self._presence_domain = PresenceDomain(self._presence)
        self._domains = (self._presence_domain, *domains)
        #: Every event this gateway speaks.
        self.contract = Contract(
            [*SystemDomain.events, *(event for domain in self._domains for event in domain.events)]
        )
        Shapes(self.contract)  # raises ContractError here, at set-up, where a payload cannot be written as a schema
        self._description = Description(self.contract, getattr(authenticate, "cookie", DEFAULT_COOKIE))
        self._admission: Admission | None = None
        self._bus: EventBus | None = None
        self._announcer: Announcer | None = None
        self._touches = Touches(self._clock)
        self._timers = PeriodicTimers(self._clock, self.stats)
        self._commands = Commands(
            self._broker,
            self.stats,
            {
                Disconnect: self._obey_disconnect,
                Revoke: self._obey_revoke,
                Touch: lambda command: self._presence.touch(command.user_id),
            },
        )
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
        return self._admission is not None and self._admission.accepting and self._broker.ready

    @property
    def is_shared(self) -> bool:
        """Tells whether this is one node of many, which act as one bus."""
        return self._presence.is_shared

    @property
    def load(self) -> Load:
        """Tells what this node holds at this moment; ``stats`` counts what has happened."""
        admission = self._admission
        tasks = 0 if admission is None else len(admission.services.dispatcher)
        return Load(len(self._hub), self._hub.user_count, self._hub.topic_count, tasks)

    async def publish(self, event: Event, *, users: Iterable[str] | None = None) -> Outcome:
        """Publishes like ``notify``, and says what became of it. On the event loop only.

        Raises ContractError where the event may not be published, ConfigurationError where the gateway does not run.
        """
        bus = self._running_bus()
        return await bus.emit_and_wait(prepare(self.contract, event, users))

    async def presence(self, user_ids: Iterable[str]) -> list[PresenceState]:
        """Gives the announced status of users, in the order asked."""
        return [_state(presence) for presence in await self._presence.announced(user_ids)]

    def touch(self, user_id: str) -> None:
        """Records that a person did something, over REST for instance. Never waits; callable from any thread."""
        self._on_loop(self._touch, user_id)

    async def disconnect(self, user_id: str, *, session: str | None = None) -> Outcome:
        """Closes a user's sockets with 4403, on every node: all of them, or those of one session.

        Withdraw the session where ``authenticate`` looks first: then it cannot come back by reconnecting. Where the
        outcome is not ACCEPTED, this node's sockets are closed, and the other nodes are told as soon as that is
        possible.
        """
        return await self._give(Disconnect(user_id, session))

    async def revoke(self, user_id: str, topic: Topic) -> Outcome:
        """Takes a topic away from a user's sockets, on every node; each is told by ``subscribed`` what is left.

        Change what ``authorize`` looks at first: then a subscribe under way cannot bring it back. No event of the topic
        that is published after this returns reaches the user. For the outcome, see ``disconnect``.
        """
        return await self._give(Revoke(user_id, topic))

    def asyncapi(self, url: str, title: str, version: str) -> str:
        """Describes the contract as an AsyncAPI document in JSON.

        url: where the endpoint is, as ``wss://app.example/ws``. title, version: the app's.
        """
        return self._description.at(url, title, version)

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def admission(self) -> Admission | None:
        """Gives what transports serve; None where this gateway does not run, or runs in another event loop."""
        return self._admission if self._loop is asyncio.get_running_loop() else None

    async def start(self) -> Admission:
        """Starts the bus on the running event loop; gives the endpoint that transports serve."""
        if self._loop is not None and self._loop.is_closed():  # as test clients leave it, where nobody stops anything
            self._timers.stop()
            self._admission = self._bus = self._loop = None
        if self._admission is not None:
            raise ConfigurationError("this gateway already runs: one gateway serves one app in one event loop")
        loop = asyncio.get_running_loop()
        batcher: WriteBatcher[Any] = WriteBatcher(loop, self._flush_interval, self.stats)
        interests = Interests(self._broker, self._hub, self._backends.forget)
        bus = EventBus(self.contract, self._hub, batcher, self._broker, interests, self.stats)
        services = Services(
            contract=self.contract,
            router=self._route(bus),
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
            self._presence_domain,
            services.dispatcher,
            self.stats,
            self._on_last_seen,
            self._limits.handler_seconds,
        )
        bus.observers[COMMAND] = bus.observers[MENTION] = self._commands.observe
        bus.observers[spec_of(PresenceUpdate).name] = self._presence.observe
        resyncs = Resyncs(self._hub, self._clock, batcher.send)
        await self._backends.start(bus.deliver, resyncs.lost)
        try:
            await announcer.start()
        except BaseException:
            await self._broker.stop()
            raise
        self._bus, self._loop, self._thread_id = bus, loop, threading.get_ident()
        self._announcer = announcer
        self._admission = Admission(services, self.path, self._authenticate, self._origins)
        self._timers.every(self._heartbeat.step, "heartbeat", lambda: self._heartbeat.turn(self._clock.time()))
        self._timers.every(self._presence_tick, "presence", self._announce)
        self._timers.every(COMMAND_RETRY_SECONDS, "commands", self._commands.retry)
        init_notifier(self._notify)
        return self._admission

    async def stop(self) -> None:
        """Closes what is still open, lets handlers finish, and stores when everyone was last seen."""
        if self._admission is None:
            return
        if current_notifier() == self._notify:
            init_notifier(None)
        self._admission.accepting = False
        for socket in self._hub:
            socket.restart()
        await self._admission.services.dispatcher.finish(self._limits.handler_seconds)
        self._timers.stop()
        if self._announcer is not None:
            await self._announcer.stop()
        await self._broker.stop()
        self._admission = self._bus = self._loop = None

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
            self._on_loop(bus.emit, prepare(self.contract, event, users))

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

    def _announce(self) -> None:
        if self._announcer is None or self._admission is None:
            return
        if self._presence.is_shared or self._admission.accepting:  # with one node, everybody leaves when it drains
            self._announcer.tick()

    def _touch(self, user_id: str) -> None:
        if not self._presence.touch(user_id) and self._presence.is_shared and self._touches.first(user_id):
            self._commands.mention(Touch(user_id))

    async def _give(self, command: Command) -> Outcome:
        return Outcome.DROPPED if self._admission is None else await self._commands.give(command)

    def _obey_disconnect(self, command: Disconnect) -> None:
        if self._admission is not None:
            self._admission.withdraw(command.user_id, command.session)
        for socket in list(self._hub.listeners(command.user_id)):
            if command.session in (None, socket.session):
                socket.close(WITHDRAWN)

    def _obey_revoke(self, command: Revoke) -> None:
        if self._bus is not None:
            self._bus.revoke(command.user_id, command.topic)


def _overrides(domain: Domain, method: str) -> bool:
    """Tells whether a domain has a hook of its own; found out once, so that none costs nothing per socket."""
    return getattr(type(domain), method) is not getattr(Domain, method)


def _state(presence: Presence) -> PresenceState:
    seen = None if presence.last_seen is None else to_datetime(presence.last_seen)
    return PresenceState(presence.user_id, presence.status, seen)
