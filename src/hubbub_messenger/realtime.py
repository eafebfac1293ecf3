"""Everything that makes the messenger real-time: this file, and ``notify`` after a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import bindparam, func, update

from hubbub import Context, Gateway, MessengerDomain, Topic
from hubbub_messenger.conversations import conversations_among, users_among
from hubbub_messenger.database import Database
from hubbub_messenger.models import User
from hubbub_messenger.sessions import Sessions
from hubbub_messenger.settings import Settings


def make_gateway(settings: Settings, database: Database, sessions: Sessions) -> Gateway:
    """Wires Hubbub to the messenger's sessions, members and users."""
    return Gateway(
        authenticate=sessions.authenticate,
        authorize=partial(authorize, database),
        domains=[MessengerDomain()],
        allowed_origins=settings.allowed_origins,
        away_after=settings.away_minutes * 60,
        on_last_seen=partial(remember_last_seen, database),
        redis_url=settings.redis_url,
    )


async def authorize(database: Database, ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Lets members hear their conversations, and everybody see whether a user is online.

    Who may see a profile may see its presence; in this messenger every user may look up and write to every other.
    """
    conversations = [topic.id for topic in topics if topic.kind == "conversation" and _is_id(topic.id)]
    users = [topic.id for topic in topics if topic.kind == "user"]
    async with database.reading() as transaction:
        allowed = {
            "conversation": await conversations_among(transaction, ctx.user_id, conversations),
            "user": await users_among(transaction, users),
        }
    return [topic for topic in topics if topic.id in allowed.get(topic.kind, ())]


async def remember_last_seen(database: Database, seen: Mapping[str, datetime]) -> None:
    """Stores when users were last here, so that it survives a restart. Of two nodes, the later time stands."""
    is_later = func.coalesce(User.last_seen_at < bindparam("at"), True)
    statement = update(User).where(User.id == bindparam("user"), is_later).values(last_seen_at=bindparam("at"))
    # Sorted, so that two nodes lock the rows in the same order.
    rows = [{"user": user, "at": at} for user, at in sorted(seen.items())]
    async with database.writing() as transaction:
        await (await transaction.connection()).execute(statement, rows)


def _is_id(text: str) -> bool:
    """Tells whether a topic's id can be a conversation's, in the one way of writing it that events use."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
