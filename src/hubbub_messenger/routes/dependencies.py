"""Dependencies of endpoints: the caller's session, the database, the gateway, and JSON bodies."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.openapi.models import APIKey, HTTPBearer
from fastapi.security.base import SecurityBase

from hubbub import Gateway, Handshake, Unauthorized
from hubbub_messenger.database import Database
from hubbub_messenger.problem_details import CHALLENGE
from hubbub_messenger.schemas import Id
from hubbub_messenger.security import refuse_foreign_origin
from hubbub_messenger.sessions import COOKIE, Session, Sessions

logger = logging.getLogger("hubbub.messenger")


async def require_json(request: Request) -> None:
    """Refuse a body of another media type with 415. This also keeps out forms of foreign pages."""
    headers = request.headers
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if has_body and media_type != "application/json":
        raise HTTPException(415, "Send the body as application/json.", {"Accept": "application/json"})


class DocumentedScheme(SecurityBase):
    """A way to authenticate, for the OpenAPI document only: `find_session` reads the credentials.

    FastAPI's own classes would read them too, by other rules.

    Args:
        name: the name of the scheme in the document.
        model: its description.
    """

    def __init__(self, name: str, model: APIKey | HTTPBearer) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        """Do nothing."""


_cookie = DocumentedScheme("cookie", APIKey.model_validate({"in": "cookie", "name": COOKIE}))
_bearer = DocumentedScheme("bearer", HTTPBearer(bearerFormat="JWT"))


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
    """Return the caller's session.

    Raises:
        HTTPException: 401 if there is none, 403 if a foreign page uses the cookie.
    """
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
