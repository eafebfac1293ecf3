"""Who is online, and when the others were last seen."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from hubbub_messenger.models import User
from hubbub_messenger.problems import responses
from hubbub_messenger.routes.dependencies import Caller, DatabaseDependency, GatewayDependency
from hubbub_messenger.shapes import PresenceOut, UserId

router = APIRouter(tags=["presence"], responses=responses(401, 422, 503))


@router.get("/presence", summary="Show who is online")
async def show_presence(
    caller: Caller,
    database: DatabaseDependency,
    gateway: GatewayDependency,
    user_ids: Annotated[list[UserId], Query(alias="userId", min_length=1, max_length=100)],
) -> list[PresenceOut]:
    """Gives the announced status of those of the users who exist, in the order asked.

    Every user may ask about every other, as with the topic ``user``: who may see a profile may see its presence.
    """
    async with database.reading() as transaction:
        rows = await transaction.execute(select(User.id, User.last_seen_at).where(User.id.in_(user_ids)))
        stored = dict(rows.all())
    known = [id for id in dict.fromkeys(user_ids) if id in stored]
    answer = []
    for state in await gateway.presence(known):
        times = [time for time in (state.last_seen_at, stored[state.user_id]) if time is not None]
        last_seen = max(times, default=None) if state.status != "online" else None
        answer.append(PresenceOut(user_id=state.user_id, status=state.status, last_seen_at=last_seen))
    return answer
