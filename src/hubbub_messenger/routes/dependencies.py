"""What a call may ask for: the database, the gateway, and who is calling."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.openapi.models import APIKey, HTTPBearer
from fastapi.security.base import SecurityBase

from hubbub import Gateway, Handshake, Unauthorized
from hubbub_messenger.database import Database
from hubbub_messenger.problems import CHALLENGE
from hubbub_messenger.security import refuse_foreign_origin
from hubbub_messenger.sessions import COOKIE, Session, Sessions
from hubbub_messenger.shapes import Id

logger = logging.getLogger("hubbub.messenger")


class Scheme(SecurityBase):
    """Documents one way to authenticate. FastAPI's own classes would also read credentials, by rules of their own."""

    def __init__(self, name: str, model: APIKey | HTTPBearer) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        """Does nothing: the session is found by ``find_session``, from either."""


_cookie = Scheme("cookie", APIKey.model_validate({"in": "cookie", "name": COOKIE}))
_bearer = Scheme("bearer", HTTPBearer(bearerFormat="JWT"))


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


async def find_session(
    request: Request, in_cookie: Annotated[None, Depends(_cookie)], in_header: Annotated[None, Depends(_bearer)]
) -> Session:
    """Gives the caller's session; answers 401 where there is none, and 403 where a foreign page uses its cookie."""
    handshake = Handshake(path=request.url.path, headers=request.headers.items())
    try:
        session = await _sessions(request).find(handshake)
    except Unauthorized as error:
        logger.info("%s %r: %s", request.method, request.url.path, error)
        raise HTTPException(401, "Log in first.", CHALLENGE) from None
    if handshake.cookie(COOKIE) is not None:
        refuse_foreign_origin(request)
    return session


DatabaseDependency = Annotated[Database, Depends(_database)]
GatewayDependency = Annotated[Gateway, Depends(_gateway)]
SessionsDependency = Annotated[Sessions, Depends(_sessions)]
Caller = Annotated[Session, Depends(find_session)]
ConversationId = Annotated[Id, Path(alias="id", description="the conversation")]
