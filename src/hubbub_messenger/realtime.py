"""The real-time side of the messenger: this file, and the calls of `notify` after a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import bindparam, func, update

from hubbub import Context, Gateway, MessengerDomain, Topic
from hubbub_messenger.conversations import existing_users, joined_conversations
from hubbub_messenger.database import Database
from hubbub_messenger.models import User
from hubbub_messenger.sessions import Sessions
from hubbub_messenger.settings import Settings


def create_gateway(settings: Settings, database: Database, sessions: Sessions) -> Gateway:
    """Return a gateway that uses the messenger's sessions, members and users."""
    return Gateway(
        authenticate=sessions.authenticate,
        authorize=partial(authorize, database),
        domains=[MessengerDomain()],
        allowed_origins=settings.allowed_origins,
        away_after=settings.away_minutes * 60,
        on_last_seen=partial(store_last_seen, database),
        redis_url=settings.redis_url,
    )


async def authorize(database: Database, ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Return the topics that a user may subscribe to: their conversations, and the presence of every user.

    Presence is as public as profiles: in this messenger every user can find every other one.
    """
    conversations = [topic.id for topic in topics if topic.kind == "conversation" and _is_id(topic.id)]
    users = [topic.id for topic in topics if topic.kind == "user"]
    async with database.reading() as transaction:
        allowed = {
            "conversation": await joined_conversations(transaction, ctx.user_id, conversations),
            "user": await existing_users(transaction, users),
        }
    return [topic for topic in topics if topic.id in allowed.get(topic.kind, ())]


async def store_last_seen(database: Database, last_seen: Mapping[str, datetime]) -> None:
    """Store when users were last seen, so that it survives a restart. A later time is never overwritten."""
    is_later = func.coalesce(User.last_seen_at < bindparam("at"), True)
    statement = update(User).where(User.id == bindparam("user"), is_later).values(last_seen_at=bindparam("at"))
    # Sorted: two nodes must lock the rows in the same order.
    rows = [{"user": user, "at": at} for user, at in sorted(last_seen.items())]
    async with database.writing() as transaction:
        await (await transaction.connection()).execute(statement, rows)


def _is_id(text: str) -> bool:
    """Return whether `text` is a UUID in the one spelling that events use."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
