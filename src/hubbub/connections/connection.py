"""One socket's life, without I/O: what each input of the peer, of the server and of the transport leads to."""

from __future__ import annotations

import inspect
import logging
import math
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from time import perf_counter
from typing import Any, Final

import msgspec

from hubbub.auth.authenticator import Identity
from hubbub.close_codes import (
    ABNORMAL_CLOSURE,
    HEARTBEAT_TIMEOUT,
    MALFORMED,
    ORDINARY,
    RATE_LIMITED,
    RESTART,
    SLOW_CONSUMER,
    UNAUTHORIZED,
    WITHDRAWN,
    CloseCode,
)
from hubbub.connections.heartbeat import MAX_MISSED_PONGS
from hubbub.connections.rate_limits import EVENTS, RateLimits
from hubbub.connections.services import Services
from hubbub.connections.transport import Transport
from hubbub.context import Context
from hubbub.contract.envelope import Envelope, decode, encode
from hubbub.contract.events import DisconnectReason, Error, InternalDisconnect, Ready
from hubbub.contract.registry import ServerEvent
from hubbub.contract.topics import Topic
from hubbub.errors import MalformedEvent, UnknownEvent
from hubbub.frames import PING, text_frame

logger = logging.getLogger("hubbub.connection")

RETRY_SPREAD_MS: Final = 1000
"""The window over which clients of a node that ends come back, in milliseconds after their own close."""

CONTROL_FRAMES: Final = "control frames"
"""The kind of pings and unsolicited pongs, which have a rate of their own beside events."""


class State(Enum):
    """Where a socket is in its life."""

    READY = "ready"  # authenticated and registered
    CLOSING = "closing"  # deregistered; its close frame may still be on the way
    CLOSED = "closed"  # the transport is gone


class Job(msgspec.Struct, frozen=True):
    """One call that a socket's events lead to. Jobs of one socket run one after another.

    Attributes:
        call: A handler or a hook.
        arguments: What it is called with.
        name: For the log and the metrics.
        correlation_id: The client's id of the event that led to it.
        is_hook: It runs even if the socket closes first: every `on_connect` has its `on_disconnect`.
    """

    call: Callable[..., Awaitable[None] | None]
    arguments: tuple[Any, ...]
    name: str
    correlation_id: str | None = None
    is_hook: bool = False


class Connection:
    """A socket from the moment it is authenticated, which is also when it is registered.

    Args:
        services: What all sockets share.
        transport: Carries its bytes.
        identity: What the authenticator returned.
        preamble: Bytes to send before `ready`, in the same write: the handshake's response.
    """

    __slots__ = (
        "context",
        "current_job",
        "expires_at",
        "heartbeat_slot",
        "inbox",
        "is_reading",
        "pending",
        "rate_limits",
        "services",
        "session",
        "state",
        "subscriptions",
        "transport",
        "unanswered_pings",
        "write",
    )

    def __init__(self, services: Services, transport: Transport, identity: Identity, preamble: bytes = b"") -> None:
        self.services = services
        self.transport = transport
        self.rate_limits: RateLimits | None = None  # None at rest
        self.inbox: deque[Job] | None = None  # None at rest: then no task runs either
        self.current_job: Job | None = None
        self.is_reading = True
        self.unanswered_pings = 0
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
        self.register()

    def register(self) -> None:
        """Register the socket, call the hooks, and send everything that is pending by then in one write."""
        services, ctx = self.services, self.context
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
        """Handle one text message."""
        services = self.services
        if self.state is not State.READY or not self._check_rate(EVENTS, services.limits.events_per_minute):
            return
        try:
            envelope = decode(text, services.contract)
        except MalformedEvent as error:
            self._close_for_fault(MALFORMED, str(error))
            return
        except UnknownEvent as error:
            self._send_error("unknown_type", str(error), error.correlation_id)
            return
        route = services.router.routes[envelope.type]
        if route.per_minute is not None and not self._check_rate(envelope.type, route.per_minute):
            return
        services.stats.events_in[envelope.type] += 1
        if not envelope.type.startswith("client.system."):
            services.presence.touch(self.context.user_id)
        self._submit(Job(route.handler, (self.context, envelope), envelope.type, envelope.correlation_id))

    def ping(self) -> None:
        """Count a ping of the peer; the transport answers it."""
        self._check_rate(CONTROL_FRAMES, self.services.limits.control_frames_per_minute)

    def pong(self) -> None:
        """Note that the peer is alive. A late or unsolicited pong counts against the rate, like a ping."""
        if self.unanswered_pings:
            self.unanswered_pings = 0
        else:
            self._check_rate(CONTROL_FRAMES, self.services.limits.control_frames_per_minute)

    def disconnected(self, code: int = ABNORMAL_CLOSURE) -> None:
        """End the socket: the peer has closed it, or the transport is gone.

        Args:
            code: The peer's. Domains get it as it is. It is counted only if it is an ordinary one, so that no client
                can claim that its heartbeat timed out.
        """
        self._deregister(code, counted_as=code if code in ORDINARY else ABNORMAL_CLOSURE, reason="client_close")
        self.state = State.CLOSED

    def send_buffer_full(self) -> None:
        """Close the socket: its send buffer is over the limit."""
        self.services.batcher.discard(self)
        self.close(SLOW_CONSUMER)

    # --- what the server does -----------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Ping the peer, or close the socket if the peer has missed two pongs (seed, "Heartbeat")."""
        if self.unanswered_pings >= MAX_MISSED_PONGS:
            self.close(HEARTBEAT_TIMEOUT)
            return
        if self.is_reading:  # while we do not read, its pongs cannot reach us
            self.unanswered_pings += 1
        if self.rate_limits is not None and self.rate_limits.is_full(self.services.clock.monotonic()):
            self.rate_limits = None
        self.write(PING)

    def restart(self) -> None:
        """Close the socket: this node ends. Each client gets a delay of its own before it comes back."""
        self.close(RESTART, f"{RESTART.reason}; retry_after_ms={secrets.randbelow(RETRY_SPREAD_MS)}")

    def expire(self) -> None:
        """Close the socket: its token has expired."""
        self.close(UNAUTHORIZED)

    def close(self, close: CloseCode, reason: str | None = None) -> None:
        """Deregister the socket, send its pending frames and a close frame, and let the transport end it."""
        self._close(close, reason or close.reason, self.transport.close)

    # --- the end ------------------------------------------------------------------------------------------------------

    def protocol_failed(self, code: int, reason: str) -> None:
        """End the socket: the transport is about to close it for a fault of the peer in the protocol."""
        self.services.batcher.flush(self)
        self._deregister(code, counted_as=code, reason="client_close", detail=reason)

    def _close_for_fault(self, close: CloseCode, reason: str) -> None:
        """Close the socket for a fault of the peer, and ignore everything else that the peer has already sent."""
        self._close(close, reason, self.transport.fail)

    def _close(self, close: CloseCode, reason: str, close_transport: Callable[[int, str], None]) -> None:
        if self.state is not State.READY:
            return
        self.services.batcher.flush(self)
        self._deregister(close.code, counted_as=close.code, reason=_disconnect_reason(close), detail=reason)
        close_transport(close.code, reason)

    def _check_rate(self, kind: str, per_minute: float) -> bool:
        """Return whether the peer may send one more of a kind; close the socket if not."""
        if self.state is not State.READY:
            return False
        rate_limits = self.rate_limits
        if rate_limits is None:
            rate_limits = self.rate_limits = RateLimits()
        if rate_limits.spend(kind, self.services.clock.monotonic(), per_minute):
            return True
        self.services.stats.over_rate[kind] += 1
        self._close_for_fault(RATE_LIMITED, f"{RATE_LIMITED.reason}: over {per_minute:g} {kind} a minute")
        return False

    def _deregister(self, code: int, *, counted_as: int, reason: DisconnectReason, detail: str = "") -> None:
        """Take the socket out of every registry, then call the hooks. The order matters: a hook may raise.

        Args:
            code: The close code, for the log and for the hooks.
            counted_as: The close code for the metrics.
            reason: For the hooks.
            detail: For the log: the reason in the close frame.
        """
        if self.state is not State.READY:
            return
        self.state = State.CLOSING
        services, ctx = self.services, self.context
        services.hub.unregister(self)
        services.presence.disconnect(ctx.user_id)
        services.heartbeat.discard(self)
        services.batcher.discard(self)
        services.stats.closes[counted_as] += 1
        level = logging.DEBUG if code in ORDINARY else logging.INFO
        because = detail and f": {detail!r}"
        logger.log(level, "socket %s of user %s closed with %d%s", ctx.socket_id, ctx.user_id, code, because)
        if self.inbox is not None:
            self.inbox = deque(job for job in self.inbox if job.is_hook)
        event = InternalDisconnect(ctx.user_id, ctx.socket_id, reason)
        for hook in services.disconnect_hooks:
            self._submit(Job(hook.call, (ctx, event, code), hook.name, is_hook=True))

    # --- its jobs, one after another ----------------------------------------------------------------------------------

    def _submit(self, job: Job) -> None:
        """Run a job at once if none is under way, without a task unless it has to be awaited; otherwise queue it."""
        inbox = self.inbox
        if inbox is not None:
            inbox.append(job)
            if self.is_reading and len(inbox) >= self.services.limits.queued_events and self.state is State.READY:
                self.is_reading = False
                self.transport.pause_reading()
            return
        work = self._start(job)
        if work is not None:
            self.inbox = deque()
            self.services.dispatcher.run(self, work)

    def next_work(self) -> Awaitable[None] | None:
        """Start queued jobs until one has to be awaited, and return that; called by the dispatcher."""
        while self.inbox:
            work = self._start(self.inbox.popleft())
            if not self.is_reading and len(self.inbox) < self.services.limits.queued_events:
                self.is_reading = True
                self.transport.resume_reading()
            if work is not None:
                return work
        self.inbox = self.current_job = None
        return None

    def work_done(self, seconds: float) -> None:
        """Record how long the current job took."""
        if self.current_job is not None:
            self.services.stats.handler_seconds[self.current_job.name].observe(seconds)

    def work_failed(self, error: BaseException, *, timed_out: bool = False) -> None:
        """Answer the current job, which failed, with an error event; the socket stays open (seed, "Failure behavior").

        Args:
            error: What the job raised.
            timed_out: Whether it was cancelled because it took too long.
        """
        job, user_id = self.current_job, self.context.user_id
        if job is None:
            raise error
        if timed_out:
            logger.error("%s took over %g s for user %s", job.name, self.services.limits.handler_seconds, user_id)
        else:
            logger.error("%s failed for user %s", job.name, user_id, exc_info=error)
        code, what = ("timeout", "took too long") if timed_out else ("internal", "failed")
        if job.is_hook:  # the client asked for nothing
            self.services.stats.errors[code] += 1
        else:
            self._send_error(code, f"{job.name} {what}", job.correlation_id)

    def _start(self, job: Job) -> Awaitable[None] | None:
        """Call a job, and return what is to be awaited if the call has not done all of it."""
        self.current_job = job
        began = perf_counter()
        try:
            result = job.call(*job.arguments)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is reported, and ends with it
            self.work_failed(error)
        else:
            if result is not None and inspect.isawaitable(result):
                return result
        self.work_done(perf_counter() - began)
        self.current_job = None
        return None

    def _send_error(self, code: str, message: str, correlation_id: str | None) -> None:
        self.services.stats.errors[code] += 1
        if self.state is State.READY:
            event: Envelope[ServerEvent] = Envelope.of(Error(message, code), id=correlation_id)
            self.services.batcher.send(text_frame(encode(event)), self)


def _disconnect_reason(close: CloseCode) -> DisconnectReason:
    """Return which of the seed's three reasons a close of ours belongs to."""
    if close is HEARTBEAT_TIMEOUT:
        return "heartbeat_timeout"
    return "auth_failed" if close in (UNAUTHORIZED, WITHDRAWN) else "client_close"
