"""Finding users, and showing one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import or_, select

from hubbub_messenger import schemas
from hubbub_messenger.models import User
from hubbub_messenger.problem_details import responses
from hubbub_messenger.routes.dependencies import Caller, DatabaseDependency

router = APIRouter(tags=["users"], responses=responses(401))


@router.get("/me", summary="Get yourself")
async def get_me(caller: Caller) -> schemas.User:
    """Return the user who is logged in."""
    return schemas.User.model_validate(caller.user)


@router.get("/users", responses=responses(422), summary="Find users")
async def find_users(
    caller: Caller,
    database: DatabaseDependency,
    query: Annotated[schemas.Text, Query(max_length=64, description="part of a username or a display name")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[schemas.User]:
    """Return users whose username or display name contains the query, sorted by username."""
    matches = or_(User.username.icontains(query, autoescape=True), User.display_name.icontains(query, autoescape=True))
    async with database.reading() as transaction:
        found = await transaction.scalars(select(User).where(matches).order_by(User.username).limit(limit))
        return [schemas.User.model_validate(user) for user in found]


@router.get("/users/{id}", responses=responses(404, 422), summary="Get a user")
async def get_user(id: Annotated[schemas.UserId, Path()], caller: Caller, database: DatabaseDependency) -> schemas.User:
    """Return a user's profile."""
    async with database.reading() as transaction:
        user = await transaction.get(User, id)
    if user is None:
        raise HTTPException(404, "This user does not exist.")
    return schemas.User.model_validate(user)
