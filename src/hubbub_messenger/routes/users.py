"""Who there is to talk to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import or_, select

from hubbub_messenger.models import User
from hubbub_messenger.problems import responses
from hubbub_messenger.routes.dependencies import Caller, DatabaseDependency
from hubbub_messenger.shapes import Text, UserId, UserOut

router = APIRouter(tags=["users"], responses=responses(401))


@router.get("/me", summary="Show yourself")
async def show_me(caller: Caller) -> UserOut:
    """Gives the user whose session this is."""
    return UserOut.model_validate(caller.user)


@router.get("/users", responses=responses(422), summary="Find users")
async def find_users(
    caller: Caller,
    database: DatabaseDependency,
    query: Annotated[Text, Query(max_length=64, description="part of a username or a display name")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[UserOut]:
    """Gives the first users by name whose names contain the query."""
    matches = or_(User.username.icontains(query, autoescape=True), User.display_name.icontains(query, autoescape=True))
    async with database.reading() as transaction:
        found = await transaction.scalars(select(User).where(matches).order_by(User.username).limit(limit))
        return [UserOut.model_validate(user) for user in found]


@router.get("/users/{id}", responses=responses(404, 422), summary="Show a user")
async def show_user(id: Annotated[UserId, Path()], caller: Caller, database: DatabaseDependency) -> UserOut:
    """Gives what a profile shows."""
    async with database.reading() as transaction:
        user = await transaction.get(User, id)
    if user is None:
        raise HTTPException(404, "There is no such user.")
    return UserOut.model_validate(user)
