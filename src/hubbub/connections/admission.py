"""Who may open a socket: decided once, before the socket is registered (seed, "Auth + identity")."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Final, NamedTuple, Protocol, TypeVar

from hubbub.auth.authenticator import Authenticator, Handshake, Identity
from hubbub.auth.origin import OriginPolicy
from hubbub.close_codes import INTERNAL_ERROR, OVERLOADED, RATE_LIMITED, RESTART, UNAUTHORIZED, CloseCode
from hubbub.connections.rate_limits import TokenBucket
from hubbub.connections.services import Services
from hubbub.errors import ConfigurationError, Unauthorized

logger = logging.getLogger("hubbub.endpoint")

NODE_FULL_RETRY_AFTER: Final = "5"
"""Seconds a client should wait before it tries a full node again."""

TOO_MANY_SOCKETS: Final = RATE_LIMITED._replace(reason="too many sockets of this user")

STATE_KEY: Final = "hubbub"
"""The key of the lifespan state under which transports find the gateway's admission."""


class Refusal(NamedTuple):
    """An error response over HTTP, in place of an upgrade.

    Attributes:
        status: The HTTP status.
        message: The text of the body.
        headers: Further headers.
    """

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()


Answer = TypeVar("Answer", Refusal, CloseCode)


class PendingHandshake(Protocol):
    """A transport whose upgrade waits for an answer."""

    @property
    def is_disconnected(self) -> bool:
        """Whether the peer has left, so that no answer is needed."""

    def admitted(self, identity: Identity) -> None:
        """Accept the upgrade and register the socket. Either this is called, once, or `refused`."""

    def refused(self, close: CloseCode) -> None:
        """Accept the upgrade and close the socket."""


class _AuthenticateTimeout(Exception):
    """The authenticator did not answer in time."""


class Admission:
    """Decides which upgrades become sockets of this node, whatever their transport.

    Args:
        services: What every socket will use.
        path: The path of the WebSocket endpoint.
        authenticate: The app's authenticator.
        origins: Which pages may connect.
    """

    def __init__(self, services: Services, path: str, authenticate: Authenticator, origins: OriginPolicy) -> None:
        self.services = services
        self.path = path
        self.accepting = True
        """False from the moment the node drains."""
        self.open_count = 0
        """Sockets that hold a descriptor: pending handshakes, open and closing sockets. Transports keep the count."""
        self.withdrawn: dict[PendingHandshake, set[tuple[str, str | None]]] = {}
        """Users, with a session or None for all, whose access was withdrawn during each pending handshake."""
        self._max_sockets = services.limits.most_sockets
        self._authenticate = authenticate
        self._origins = origins
        self._handshakes = TokenBucket()

    def refusal(self, handshake: Handshake) -> Refusal | None:
        """Return why an upgrade is refused over HTTP, or None; log and count a refusal."""
        if not self.accepting:
            return self._count("draining", Refusal(503, "restarting", (("Retry-After", "1"),)))
        limits = self.services.limits
        if self.open_count > self._max_sockets:
            logger.info("refused: the node has %d sockets, its limit (from %s)", self._max_sockets, handshake.client)
            return self._count("node full", Refusal(503, "node full", (("Retry-After", NODE_FULL_RETRY_AFTER),)))
        if not self._handshakes.take(
            self.services.clock.monotonic(), limits.handshakes_per_second, limits.handshake_burst
        ):
            logger.info("refused: too many handshakes (from %s)", handshake.client)
            return self._count("rate", Refusal(503, "too many handshakes", (("Retry-After", "1"),)))
        if len(handshake.headers_named("host")) != 1:  # RFC 9112 section 3.2
            logger.info("refused: not one Host header (from %s)", handshake.client)
            return self._count("host", Refusal(400, "expected one Host header"))
        foreign = self._origins.refusal(handshake)
        if foreign is not None:
            logger.info("refused: %s (from %s)", foreign, handshake.client)
            return self._count("origin", Refusal(403, "origin not allowed"))
        return None

    def rejected(self, status: int, handshake: Handshake) -> None:
        """Log and count an upgrade that is not a valid one, and that the transport answers with an HTTP status."""
        logger.info("refused: answered a bad upgrade with %d (from %s)", status, handshake.client)
        self.services.stats.refusals["handshake"] += 1

    def authenticate(self, handshake: Handshake, pending: PendingHandshake) -> None:
        """Ask the authenticator, and admit or refuse the socket: at once, unless something has to be awaited."""
        answer: Identity | Awaitable[Identity | None] | None
        try:
            answer = self._authenticate(handshake)
            if not inspect.isawaitable(answer):
                answer = self._validated(answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - _close_code logs it
            pending.refused(self._close_code(error, handshake))
            return
        if isinstance(answer, Identity):
            interests, user = self.services.interests, (answer.user_id,)
            waiting = interests.hold(user)
            try:
                if waiting is None:
                    self._admit(answer, handshake, pending)
                    return
            finally:
                interests.release(user)
        self.services.dispatcher.spawn(self._authenticate_later(answer, handshake, pending))

    async def _authenticate_later(
        self, answer: Identity | Awaitable[Identity | None], handshake: Handshake, pending: PendingHandshake
    ) -> None:
        withdrawn = self.withdrawn[pending] = set()
        try:
            interests = self.services.interests
            with contextlib.ExitStack() as held:
                async with _time_limit(self.services.limits.handshake_seconds):
                    identity = answer if isinstance(answer, Identity) else self._validated(await answer)
                    # Held, so that events for the user also reach this node between this wait and the registration.
                    user = (identity.user_id,)
                    waiting = interests.hold(user)
                    held.callback(interests.release, user)
                    if waiting is not None:
                        await waiting
                if not withdrawn.isdisjoint({(identity.user_id, None), (identity.user_id, identity.session)}):
                    raise Unauthorized("access was withdrawn during the handshake")
                if pending.is_disconnected:
                    return
                if self.accepting:
                    self._admit(identity, handshake, pending)
                else:  # the node began to drain while we waited
                    pending.refused(RESTART)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            is_ending = task is not None and task.cancelling() > 0
            if not pending.is_disconnected:
                pending.refused(RESTART if is_ending else self._close_code(error, handshake))
            if is_ending:
                raise
        finally:
            del self.withdrawn[pending]

    def _admit(self, identity: Identity, handshake: Handshake, pending: PendingHandshake) -> None:
        """Admit a socket unless its user has too many. Nothing is awaited in between, so the count is exact."""
        limit = self.services.limits.sockets_per_user
        if len(self.services.hub.listeners(identity.user_id)) < limit:
            pending.admitted(identity)
            return
        logger.info("refused: user %s has %d sockets already (from %s)", identity.user_id, limit, handshake.client)
        pending.refused(self._count("sockets per user", TOO_MANY_SOCKETS))

    def _close_code(self, error: BaseException, handshake: Handshake) -> CloseCode:
        """Return the code with which a socket is closed whose authentication raised `error`."""
        if isinstance(error, Unauthorized):
            logger.info("unauthorized: %s (from %s)", error, handshake.client)
            return self._count("unauthorized", UNAUTHORIZED)
        if isinstance(error, _AuthenticateTimeout):
            logger.error("authenticate took over %g s", self.services.limits.handshake_seconds)
            return self._count("authenticate timeout", OVERLOADED)
        logger.error("authenticate failed", exc_info=error)
        return self._count("authenticate failed", INTERNAL_ERROR)

    def withdraw(self, user_id: str, session: str | None) -> None:
        """Refuse a user's pending handshakes: their authenticator may have looked before access was withdrawn.

        Args:
            user_id: The user whose access was withdrawn.
            session: Only handshakes of this session; None for all.
        """
        for withdrawn in self.withdrawn.values():
            withdrawn.add((user_id, session))

    def _validated(self, identity: Identity | None) -> Identity:
        if identity is None:
            raise Unauthorized("the authenticator returned None")
        if not isinstance(identity, Identity):
            raise ConfigurationError(f"authenticate must return an Identity or None, got {type(identity).__name__}")
        if identity.expires_at is not None and not identity.expires_at > self.services.clock.time():
            raise Unauthorized("the credentials have expired")
        return identity

    def _count(self, reason: str, answer: Answer) -> Answer:
        self.services.stats.refusals[reason] += 1
        return answer


@contextlib.asynccontextmanager
async def _time_limit(seconds: float) -> AsyncIterator[None]:
    """Raise _AuthenticateTimeout after so many seconds; a TimeoutError of the authenticator's own passes unchanged."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise _AuthenticateTimeout from None
        raise
