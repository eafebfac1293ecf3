"""Logging in and out."""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from sqlalchemy import select

from hubbub_messenger import schemas
from hubbub_messenger.models import User
from hubbub_messenger.problem_details import CHALLENGE, responses
from hubbub_messenger.routes.dependencies import Caller, DatabaseDependency, GatewayDependency, SessionsDependency
from hubbub_messenger.security import refuse_foreign_origin, verify_password
from hubbub_messenger.sessions import COOKIE, Session, Sessions
from hubbub_messenger.timestamps import utc_now

router = APIRouter(prefix="/session", tags=["session"], responses=responses(401, 403))


@router.post(
    "", dependencies=[Depends(refuse_foreign_origin)], responses=responses(400, 413, 415, 422), summary="Log in"
)
async def log_in(
    credentials: schemas.Credentials,
    request: Request,
    response: Response,
    database: DatabaseDependency,
    sessions: SessionsDependency,
) -> schemas.Session:
    """Start a session and set its cookie."""
    async with database.reading() as transaction:
        user = await transaction.scalar(select(User).where(User.username == credentials.username))
    # The transaction ends before the hash is computed: that takes long, and would keep a connection from others.
    if not await verify_password(credentials.password, user.password_hash if user else None) or user is None:
        raise HTTPException(401, "The username or the password is wrong.", CHALLENGE)
    return _send(sessions.open(user), sessions, request, response)


@router.post("/renew", summary="Renew the session")
async def renew_session(
    caller: Caller, request: Request, response: Response, sessions: SessionsDependency
) -> schemas.Session:
    """Give the session a new token and a later end."""
    return _send(sessions.renew(caller), sessions, request, response)


@router.delete("", status_code=204, summary="Log out")
async def log_out(caller: Caller, response: Response, sessions: SessionsDependency, gateway: GatewayDependency) -> None:
    """Revoke every token of the session and close its sockets with 4403."""
    await sessions.revoke(caller)
    await gateway.disconnect(caller.user.id, session=caller.id)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def _send(session: Session, sessions: Sessions, request: Request, response: Response) -> schemas.Session:
    """Set the session's cookie on the response, and return its body."""
    token = sessions.token(session)
    secure: bool | None = request.app.state.settings.secure_cookie
    response.set_cookie(
        COOKIE,
        token,
        max_age=round((session.expires_at - utc_now()).total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https" if secure is None else secure,
    )
    response.headers["Cache-Control"] = "no-store"
    return schemas.Session(user_id=session.user.id, token=token, expires_at=session.expires_at)
