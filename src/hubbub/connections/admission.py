"""Who may open a socket: decided once, before it is registered (seed, "Auth + identity")."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Final, NamedTuple, Protocol

from hubbub.auth.authenticator import Authenticator, Handshake, Identity
from hubbub.auth.origin import OriginPolicy
from hubbub.close_codes import INTERNAL_ERROR, OVERLOADED, RATE_LIMITED, RESTART, UNAUTHORIZED, CloseCode
from hubbub.connections.rate_limits import TokenBucket
from hubbub.connections.services import Services
from hubbub.errors import ConfigurationError, Unauthorized

logger = logging.getLogger("hubbub.endpoint")

NODE_FULL_RETRY_AFTER: Final = "5"
"""Seconds a client should wait before it asks a full node again."""

TOO_MANY_SOCKETS: Final = RATE_LIMITED._replace(reason="too many sockets of this user")

STATE_KEY: Final = "hubbub"
"""Where the gateway leaves its endpoint in the lifespan state."""


class Refusal(NamedTuple):
    """An upgrade that is answered over HTTP: the status, what it says, and further headers."""

    status: int
    message: str
    headers: tuple[tuple[str, str], ...] = ()


class PendingHandshake(Protocol):
    """Who asks to be let in: a transport with an upgrade to answer."""

    @property
    def is_gone(self) -> bool:
        """Tells whether nobody waits for an answer any more."""

    def admitted(self, identity: Identity) -> None:
        """Is told who it is: called once, or ``refused`` is."""

    def refused(self, close: CloseCode) -> None:
        """Is told the code to accept and close with."""


class _TookTooLong(Exception):
    """The authenticator did not answer in time."""


class Admission:
    """The one door of a node: where upgrades arrive, whatever the transport."""

    def __init__(self, services: Services, path: str, authenticate: Authenticator, origins: OriginPolicy) -> None:
        self.services = services
        self.path = path
        self.accepting = True
        """False from the moment the node drains."""
        self.open_count = 0
        """Sockets that hold a descriptor: handshakes under way, open and closing ones. Transports keep the count."""
        self._socket_limit = services.limits.most_sockets
        self._authenticate = authenticate
        self._origins = origins
        self._handshakes = TokenBucket()
        self._withdrawn_meanwhile: dict[PendingHandshake, set[tuple[str, str | None]]] = {}  # by who waits

    def refusal(self, handshake: Handshake) -> Refusal | None:
        """Gives the reason not to upgrade at all, or None."""
        if not self.accepting:
            return self._refuse("draining", Refusal(503, "restarting", (("Retry-After", "1"),)))
        limits = self.services.limits
        if self.open_count > self._socket_limit:
            logger.info(
                "refused: %d sockets are all this node may hold (from %s)", self._socket_limit, handshake.client
            )
            return self._refuse("node full", Refusal(503, "node full", (("Retry-After", NODE_FULL_RETRY_AFTER),)))
        if not self._handshakes.take(
            self.services.clock.monotonic(), limits.handshakes_per_second, limits.handshake_burst
        ):
            logger.info("refused: too many handshakes (from %s)", handshake.client)
            return self._refuse("rate", Refusal(503, "too many handshakes", (("Retry-After", "1"),)))
        if len(handshake.headers_named("host")) != 1:  # RFC 9112 section 3.2
            logger.info("refused: not one Host header (from %s)", handshake.client)
            return self._refuse("host", Refusal(400, "expected one Host header"))
        foreign = self._origins.refusal(handshake)
        if foreign is not None:
            logger.info("refused: %s (from %s)", foreign, handshake.client)
            return self._refuse("origin", Refusal(403, "origin not allowed"))
        return None

    def rejected(self, status: int, handshake: Handshake) -> None:
        """Is told that an upgrade was asked for in a wrong way, and is answered with that status."""
        logger.info("refused: answered a bad upgrade with %d (from %s)", status, handshake.client)
        self.services.stats.refusals["handshake"] += 1

    def authenticate(self, handshake: Handshake, pending: PendingHandshake) -> None:
        """Asks the authenticator, once, and tells the visitor what comes of it: at once where nothing has to wait."""
        answer: Identity | Awaitable[Identity | None] | None
        try:
            answer = self._authenticate(handshake)
            if not inspect.isawaitable(answer):
                answer = self._checked(answer)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - _close_code logs what it is
            pending.refused(self._close_code(error, handshake))
            return
        if isinstance(answer, Identity):
            interests, user = self.services.interests, (answer.user_id,)
            waiting = interests.hold(user)
            try:
                if waiting is None:
                    self._let_in(answer, handshake, pending)
                    return
            finally:
                interests.release(user)
        self.services.dispatcher.spawn(self._authenticate_later(answer, handshake, pending))

    async def _authenticate_later(
        self, answer: Identity | Awaitable[Identity | None], handshake: Handshake, pending: PendingHandshake
    ) -> None:
        withdrawn = self._withdrawn_meanwhile[pending] = set()
        try:
            interests = self.services.interests
            with contextlib.ExitStack() as held:
                async with _at_most(self.services.limits.handshake_seconds):
                    identity = answer if isinstance(answer, Identity) else self._checked(await answer)
                    # What is addressed to a user reaches this node also between this wait and the registration.
                    user = (identity.user_id,)
                    waiting = interests.hold(user)
                    held.callback(interests.release, user)
                    if waiting is not None:
                        await waiting
                if not withdrawn.isdisjoint({(identity.user_id, None), (identity.user_id, identity.session)}):
                    raise Unauthorized("access was withdrawn during the handshake")
                if pending.is_gone:
                    return
                if self.accepting:
                    self._let_in(identity, handshake, pending)
                else:  # the node began to drain while we waited
                    pending.refused(RESTART)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            is_ending = task is not None and task.cancelling() > 0
            if not pending.is_gone:
                pending.refused(RESTART if is_ending else self._close_code(error, handshake))
            if is_ending:
                raise
        finally:
            del self._withdrawn_meanwhile[pending]

    def _let_in(self, identity: Identity, handshake: Handshake, pending: PendingHandshake) -> None:
        """Lets a visitor register unless the user has too many sockets. Nothing waits between: the count is exact."""
        most = self.services.limits.sockets_per_user
        if len(self.services.hub.listeners(identity.user_id)) < most:
            pending.admitted(identity)
            return
        logger.info("refused: user %s has %d sockets already (from %s)", identity.user_id, most, handshake.client)
        pending.refused(self._closed("sockets per user", TOO_MANY_SOCKETS))

    def _close_code(self, error: BaseException, handshake: Handshake) -> CloseCode:
        """Gives the code that a socket whose authentication raised ``error`` is accepted and closed with."""
        if isinstance(error, Unauthorized):
            logger.info("unauthorized: %s (from %s)", error, handshake.client)
            return self._closed("unauthorized", UNAUTHORIZED)
        if isinstance(error, _TookTooLong):
            logger.error("authenticate took over %g s", self.services.limits.handshake_seconds)
            return self._closed("authenticate timeout", OVERLOADED)
        logger.error("authenticate failed", exc_info=error)
        return self._closed("authenticate failed", INTERNAL_ERROR)

    def withdraw(self, user_id: str, session: str | None) -> None:
        """Refuses handshakes under way for whom access is withdrawn: their authenticator may have looked before."""
        for withdrawn in self._withdrawn_meanwhile.values():
            withdrawn.add((user_id, session))

    def _checked(self, identity: Identity | None) -> Identity:
        if identity is None:
            raise Unauthorized("the authenticator knows nobody")
        if not isinstance(identity, Identity):
            raise ConfigurationError(f"authenticate must give an Identity or None, got {type(identity).__name__}")
        if identity.expires_at is not None and not identity.expires_at > self.services.clock.time():
            raise Unauthorized("the credentials have expired")
        return identity

    def _refuse(self, reason: str, refusal: Refusal) -> Refusal:
        self.services.stats.refusals[reason] += 1
        return refusal

    def _closed(self, reason: str, close: CloseCode) -> CloseCode:
        self.services.stats.refusals[reason] += 1
        return close


@contextlib.asynccontextmanager
async def _at_most(seconds: float) -> AsyncIterator[None]:
    """Raises _TookTooLong after so many seconds; a TimeoutError of the authenticator's own stays what it is."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise _TookTooLong from None
        raise
