"""Login sessions: which user a token belongs to, for REST and for the socket."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from inspect import isawaitable
from typing import Final
from uuid import uuid4

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError

from hubbub import Handshake, Identity, JWTAuthenticator, Unauthorized, mint_token
from hubbub_messenger.database import Database
from hubbub_messenger.models import RevokedSession, User
from hubbub_messenger.settings import Settings
from hubbub_messenger.timestamps import utc_now

COOKIE: Final = "hubbub_session"
_ALGORITHM: Final = "HS256"
_MARGIN: Final = timedelta(hours=1)  # for clocks of nodes that differ, and for renewals during a logout


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one user. Renewing keeps the id, so that a logout revokes every token of the session."""

    id: str
    user: User
    expires_at: datetime


class Sessions:
    """The sessions of all users: issues tokens, checks them and revokes them.

    A token is a JWT with `sub` (the user), `jti` (the session), `iat` and `exp`. Every token signed with the
    same secret is valid, for example one of `hubbub token alice`.

    Args:
        settings: the secret and the lifetime of a session.
        database: where users and revoked sessions are stored.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._secret = settings.secret.get_secret_value()
        self._lifetime = settings.session_lifetime
        self._database = database
        self._tokens = JWTAuthenticator(self._secret, algorithms=[_ALGORITHM], cookie=COOKIE)

    def open(self, user: User) -> Session:
        """Return a new session of a user."""
        return Session(uuid4().hex, user, self._expiry())

    def renew(self, session: Session) -> Session:
        """Return the session with a new end, which is never earlier than before: `revoke` relies on that."""
        return Session(session.id, session.user, max(session.expires_at, self._expiry()))

    def token(self, session: Session) -> str:
        """Return a signed token of a session."""
        claims = {"jti": session.id, "exp": int(session.expires_at.timestamp())}
        return mint_token(session.user.id, key=self._secret, algorithm=_ALGORITHM, claims=claims)

    async def find(self, handshake: Handshake) -> Session:
        """Return the session of a request. Its token comes from the cookie or from `Authorization: Bearer`.

        Raises:
            Unauthorized: there is no valid session. The reason is for the log.
        """
        identity = self._tokens(handshake)
        if isawaitable(identity):
            identity = await identity
        if identity.session is None or identity.expires_at is None:
            raise Unauthorized("the token has no jti, so its session could not be revoked")
        revoked = exists().where(RevokedSession.id == identity.session)
        async with self._database.reading() as transaction:
            user = await transaction.scalar(select(User).where(User.id == identity.user_id, ~revoked))
        if user is None:
            raise Unauthorized("the session was revoked, or its user does not exist")
        return Session(identity.session, user, datetime.fromtimestamp(identity.expires_at, UTC))

    async def authenticate(self, handshake: Handshake) -> Identity:
        """Return the user who opens a socket, by the same rules as for REST."""
        session = await self.find(handshake)
        return Identity(session.user.id, session.expires_at.timestamp(), session.id)

    async def revoke(self, session: Session) -> None:
        """Revoke every token of a session, and delete revocations whose tokens have expired."""
        until = max(session.expires_at, self._expiry()) + _MARGIN
        with suppress(IntegrityError):  # another logout at the same moment was first
            async with self._database.writing() as transaction:
                await transaction.execute(delete(RevokedSession).where(RevokedSession.expires_at < utc_now()))
                transaction.add(RevokedSession(id=session.id, expires_at=until))

    def _expiry(self) -> datetime:
        return (utc_now() + self._lifetime).replace(microsecond=0)
