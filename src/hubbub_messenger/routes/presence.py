"""Who is online, and when the others were last seen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from hubbub_messenger import schemas
from hubbub_messenger.models import User
from hubbub_messenger.problem_details import responses
from hubbub_messenger.routes.dependencies import Caller, DatabaseDependency, GatewayDependency

router = APIRouter(tags=["presence"], responses=responses(401, 422, 503))


@router.get("/presence", summary="Get the status of users")
async def get_presence(
    caller: Caller,
    database: DatabaseDependency,
    gateway: GatewayDependency,
    user_ids: Annotated[list[schemas.UserId], Query(alias="userId", min_length=1, max_length=100)],
) -> list[schemas.Presence]:
    """Return the announced status of users, in the order of the query. Users that do not exist are left out.

    Every user may ask about every other one, as with topics of the kind `user`.
    """
    async with database.reading() as transaction:
        rows = await transaction.execute(select(User.id, User.last_seen_at).where(User.id.in_(user_ids)))
        stored = dict(rows.all())
    known = [id for id in dict.fromkeys(user_ids) if id in stored]
    answer = []
    for state in await gateway.presence(known):
        times = [time for time in (state.last_seen_at, stored[state.user_id]) if time is not None]
        last_seen = max(times, default=None) if state.status != "online" else None
        answer.append(schemas.Presence(user_id=state.user_id, status=state.status, last_seen_at=last_seen))
    return answer
