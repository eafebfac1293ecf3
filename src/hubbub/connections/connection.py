"""One socket's life, without I/O: handshake -> ready -> closing -> closed, and what each input leads to."""

from __future__ import annotations

import inspect
import logging
import math
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec

from hubbub.auth.authenticator import Identity
from hubbub.close_codes import (
    ABNORMAL_CLOSURE,
    HEARTBEAT_TIMEOUT,
    MALFORMED,
    NO_STATUS_RECEIVED,
    RATE_LIMITED,
    RESTART,
    SLOW_CONSUMER,
    UNAUTHORIZED,
    WITHDRAWN,
    CloseCode,
)
from hubbub.connections.heartbeat import MISSES
from hubbub.connections.rate_limits import EVENTS, RateLimits
from hubbub.connections.services import Services
from hubbub.context import Context
from hubbub.contract.envelope import Envelope, decode, encode
from hubbub.contract.events import DisconnectReason, Error, InternalDisconnect, Ready
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic
from hubbub.errors import MalformedEvent, UnknownEvent
from hubbub.frames import PING, text_frame

logger = logging.getLogger("hubbub.connection")

RETRY_SPREAD_MS: Final = 1000
"""Clients of a node that ends come back within so many milliseconds of their own close, and those are spread too."""

CONTROL_FRAMES: Final = "control frames"
"""What pings, and pongs that nobody asked for, count as: a kind of its own beside events."""

#: RFC 6455 section 7.4.1: the codes that end a connection as expected.
_ORDINARY: Final = frozenset({1000, 1001, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE})


class Transport(Protocol):
    """What a connection needs of whatever carries its bytes."""

    def write(self, data: bytes) -> object:
        """Sends the bytes of one or more frames."""

    def close(self, code: int, reason: str) -> None:
        """Sends a close frame and ends the connection, within a bounded time whatever the peer does."""

    def fail(self, code: int, reason: str) -> None:
        """Does the same for a fault of the peer: looks at nothing more that it sends (RFC 6455 section 7.1.7)."""

    def pause_reading(self) -> None:
        """Stops reading: TCP then slows the peer."""

    def resume_reading(self) -> None:
        """Reads again."""


class State(Enum):
    """Where a socket stands in its life."""

    READY = "ready"  # authenticated and registered
    CLOSING = "closing"  # deregistered; its close frame may still be on the way
    CLOSED = "closed"  # the transport is gone


class Job(msgspec.Struct, frozen=True):
    """One call that a socket's events lead to. Jobs of one socket run one after another."""

    call: Callable[..., Awaitable[None] | None]
    arguments: tuple[Any, ...]
    name: str
    correlation_id: str | None = None
    is_hook: bool = False  # outlives the socket: who was told of its start is told of its end


class Connection:
    """A socket from the moment it is authenticated: it is registered at once, and never before."""

    __slots__ = (
        "_inbox",
        "_job",
        "_rates",
        "_reading",
        "_services",
        "_transport",
        "_unanswered",
        "context",
        "expires_at",
        "heartbeat_slot",
        "pending",
        "session",
        "state",
        "subscriptions",
        "write",
    )

    def __init__(self, services: Services, transport: Transport, identity: Identity, preamble: bytes = b"") -> None:
        """preamble: bytes that leave before and together with ``ready``: the handshake's response."""
        self._services = services
        self._transport = transport
        self._rates: RateLimits | None = None  # None at rest
        self._inbox: deque[Job] | None = None  # None at rest: no task runs, and no queue exists
        self._job: Job | None = None
        self._reading = True
        self._unanswered = 0
        self.write = transport.write
        self.session = identity.session
        self.expires_at = math.inf if identity.expires_at is None else identity.expires_at
        self.heartbeat_slot = 0
        self.state = State.READY
        self.subscriptions: dict[Topic, None] = {}
        self.context = Context(
            identity.user_id, secrets.token_urlsafe(12), int(services.clock.time() * 1000), self.subscriptions.keys()
        )
        ready = text_frame(encode(Envelope.of(Ready(identity.user_id, self.context.socket_id))))
        self.pending: bytes | list[bytes] | None = preamble + ready
        self._open()

    def _open(self) -> None:
        """Registers the socket, tells the domains, and sends what has come together until then in one write."""
        services, ctx = self._services, self.context
        services.stats.connects += 1
        services.hub.register(self)
        services.presence.connect(ctx.user_id)
        services.heartbeat.add(self, services.clock.time())
        logger.debug("socket %s of user %s is ready", ctx.socket_id, ctx.user_id)
        for hook in services.connect_hooks:
            self._submit(Job(hook.call, (ctx,), hook.name, is_hook=True))
        services.batcher.flush(self)

    # --- what the peer does -------------------------------------------------------------------------------------------

    def receive(self, text: str) -> None:
        """Takes one text message in."""
        services = self._services
        if self.state is not State.READY or not self._may_send(EVENTS, services.limits.events_per_minute):
            return
        try:
            envelope = decode(text, services.contract)
        except MalformedEvent as error:
            self._fail(MALFORMED, str(error))
            return
        except UnknownEvent as error:
            self._tell("unknown_type", str(error), error.correlation_id)
            return
        route = services.router.routes[envelope.type]
        if route.per_minute is not None and not self._may_send(envelope.type, route.per_minute):
            return
        services.stats.events_in[envelope.type] += 1
        if not envelope.type.startswith("client.system."):
            services.presence.touch(self.context.user_id)
        self._submit(Job(route.handler, (self.context, envelope), envelope.type, envelope.correlation_id))

    def ping(self) -> None:
        """Takes a ping in, which the transport answers."""
        self._may_send(CONTROL_FRAMES, self._services.limits.control_frames_per_minute)

    def pong(self) -> None:
        """Takes a pong in: the peer lives. One that nobody asked for, or a late one, counts as a frame like a ping."""
        if self._unanswered:
            self._unanswered = 0
        else:
            self._may_send(CONTROL_FRAMES, self._services.limits.control_frames_per_minute)

    def disconnected(self, code: int = ABNORMAL_CLOSURE) -> None:
        """Is told that the peer closed with ``code``, or that the transport is gone.

        The peer's code is handed to domains as it is, and means what it says of a client only: no client can claim
        that its heartbeat timed out.
        """
        self._leave(code, counted_as=code if code in _ORDINARY else ABNORMAL_CLOSURE, reason="client_close")
        self.state = State.CLOSED

    def send_buffer_full(self) -> None:
        """Is told that the peer has let more unsent bytes pile up than it may."""
        self._services.batcher.discard(self)
        self.close(SLOW_CONSUMER)

    # --- what the server does -----------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Pings the peer, or closes the socket when it has missed two pongs (seed, "Heartbeat")."""
        if self._unanswered >= MISSES:
            self.close(HEARTBEAT_TIMEOUT)
            return
        if self._reading:  # while we do not read, its pongs cannot reach us
            self._unanswered += 1
        if self._rates is not None and self._rates.is_full(self._services.clock.monotonic()):
            self._rates = None
        self.write(PING)

    def restart(self) -> None:
        """Closes the socket because this node ends, and spreads the moment at which clients come back."""
        self.close(RESTART, f"{RESTART.reason}; retry_after_ms={secrets.randbelow(RETRY_SPREAD_MS)}")

    def expire(self) -> None:
        """Closes the socket because its token has expired."""
        self.close(UNAUTHORIZED)

    def close(self, close: CloseCode, reason: str | None = None) -> None:
        """Deregisters the socket, sends what it was still owed and the close frame, and lets the transport end it."""
        self._end(close, self._transport.close, reason or close.reason)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _fail(self, close: CloseCode, reason: str) -> None:
        """Closes the socket for a fault of the peer: whatever else it has sent already is not looked at."""
        self._end(close, self._transport.fail, reason)

    def _end(self, close: CloseCode, end: Callable[[int, str], None], reason: str) -> None:
        if self.state is not State.READY:
            return
        self._services.batcher.flush(self)
        self._leave(close.code, counted_as=close.code, reason=_reason(close), why=reason)
        end(close.code, reason)

    def _may_send(self, kind: str, per_minute: float) -> bool:
        """Tells whether the peer may send one more of a kind; closes the socket where it may not."""
        if self.state is not State.READY:
            return False
        rates = self._rates
        if rates is None:
            rates = self._rates = RateLimits()
        if rates.spend(kind, self._services.clock.monotonic(), per_minute):
            return True
        self._services.stats.over_rate[kind] += 1
        self._fail(RATE_LIMITED, f"{RATE_LIMITED.reason}: over {per_minute:g} {kind} a minute")
        return False

    def protocol_failed(self, code: int, reason: str) -> None:
        """Is told that the transport is about to close with ``code``, for a fault of the peer in the protocol."""
        self._services.batcher.flush(self)
        self._leave(code, counted_as=code, reason="client_close", why=reason)

    def _leave(self, code: int, *, counted_as: int, reason: DisconnectReason, why: str = "") -> None:
        """Deregisters first, so that whatever follows, nobody is left in a registry; then tells the domains."""
        if self.state is not State.READY:
            return
        self.state = State.CLOSING
        services, ctx = self._services, self.context
        services.hub.unregister(self)
        services.presence.disconnect(ctx.user_id)
        services.heartbeat.discard(self)
        services.batcher.discard(self)
        services.stats.closes[counted_as] += 1
        level = logging.DEBUG if code in _ORDINARY else logging.INFO
        because = why and f": {why!r}"
        logger.log(level, "socket %s of user %s closed with %d%s", ctx.socket_id, ctx.user_id, code, because)
        if self._inbox is not None:
            self._inbox = deque(job for job in self._inbox if job.is_hook)
        event = InternalDisconnect(ctx.user_id, ctx.socket_id, reason)
        for hook in services.disconnect_hooks:
            self._submit(Job(hook.call, (ctx, event, code), hook.name, is_hook=True))

    # --- its work, one job after another ------------------------------------------------------------------------------

    def _submit(self, job: Job) -> None:
        """Runs a job at once where nothing is under way, which needs no task unless it waits; else queues it."""
        inbox = self._inbox
        if inbox is not None:
            inbox.append(job)
            if self._reading and len(inbox) >= self._services.limits.queued_events and self.state is State.READY:
                self._reading = False
                self._transport.pause_reading()
            return
        work = self._start(job)
        if work is not None:
            self._inbox = deque()
            self._services.dispatcher.run(self, work)

    def next_work(self) -> Awaitable[None] | None:
        """Starts queued jobs until one has to be waited for; called by the dispatcher."""
        while self._inbox:
            work = self._start(self._inbox.popleft())
            if not self._reading and len(self._inbox) < self._services.limits.queued_events:
                self._reading = True
                self._transport.resume_reading()
            if work is not None:
                return work
        self._inbox = self._job = None
        return None

    def worked(self, seconds: float) -> None:
        """Is told how long the job took that has just ended."""
        if self._job is not None:
            self._services.stats.handler_seconds[self._job.name].observe(seconds)

    def work_failed(self, error: BaseException, *, timed_out: bool = False) -> None:
        """Answers a failed job with an error event; the socket stays open (seed, "Failure behavior")."""
        job = self._job
        if job is None:
            raise error
        if timed_out:
            logger.error("%s took over %g s for user %s", job.name, self._services.limits.handler_seconds, self._user)
        else:
            logger.error("%s failed for user %s", job.name, self._user, exc_info=error)
        code, what = ("timeout", "took too long") if timed_out else ("internal", "failed")
        if job.is_hook:  # the client asked for nothing
            self._services.stats.errors[code] += 1
        else:
            self._tell(code, f"{job.name} {what}", job.correlation_id)

    def _start(self, job: Job) -> Awaitable[None] | None:
        self._job = job
        began = perf_counter()
        try:
            result = job.call(*job.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is reported, and ends with it
            self.work_failed(error)
        else:
            if result is not None and inspect.isawaitable(result):
                return result
        self.worked(perf_counter() - began)
        self._job = None
        return None

    def _tell(self, code: str, message: str, correlation_id: str | None) -> None:
        self._services.stats.errors[code] += 1
        if self.state is State.READY:
            event: Envelope[ServerEvent] = Envelope.of(Error(message, code), id=correlation_id)
            self._services.batcher.send(text_frame(encode(event)), self)

    @property
    def _user(self) -> str:
        return self.context.user_id


def _reason(close: CloseCode) -> DisconnectReason:
    """Sums a close of ours up in the seed's three reasons."""
    if close is HEARTBEAT_TIMEOUT:
        return "heartbeat_timeout"
    return "auth_failed" if close in (UNAUTHORIZED, WITHDRAWN) else "client_close"
