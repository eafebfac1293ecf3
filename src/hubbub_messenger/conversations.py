"""Queries for conversations and their members. Each takes a fixed number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Final

from fastapi import HTTPException
from sqlalchemy import ColumnElement, Select, delete, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hubbub_messenger import schemas
from hubbub_messenger.ids import new_id
from hubbub_messenger.models import Conversation, Member, Message, User

MAX_LISTED: Final = 512
"""How many conversations a list holds: as many as one socket can subscribe to."""

MAX_UNREAD: Final = 100
"""Counting unread messages stops at this number, so that it stays cheap for a user who was away for a year."""

_LOWEST_ID: Final = "00000000-0000-0000-0000-000000000000"


async def list_conversations(transaction: AsyncSession, user_id: str) -> list[schemas.Conversation]:
    """Return a user's conversations, the most recently active first."""
    rows = (await transaction.execute(_summaries(user_id))).all()
    members = await _members(transaction, [conversation.id for conversation, _, _ in rows])
    return [
        schemas.Conversation(
            id=conversation.id,
            title=conversation.title,
            created_at=conversation.created_at,
            members=members[conversation.id],
            last_message=None if message is None else schemas.Message.model_validate(message),
            unread_count=unread,
        )
        for conversation, message, unread in rows
    ]


async def create_conversation(
    transaction: AsyncSession, creator_id: str, member_ids: Iterable[str], title: str | None
) -> schemas.Conversation:
    """Create a conversation between its creator and others.

    Raises:
        HTTPException: 422, if one of them does not exist or there are no others.
    """
    ids = dict.fromkeys([creator_id, *member_ids])
    known = await existing_users(transaction, ids)
    if unknown := [id for id in ids if id not in known]:
        raise HTTPException(422, f"The user {unknown[0]!r} does not exist.")
    if len(ids) < 2:
        raise HTTPException(422, "A conversation needs at least one other member.")
    conversation = Conversation(id=new_id(), title=title)
    transaction.add(conversation)
    await transaction.flush()
    transaction.add_all(Member(conversation_id=conversation.id, user_id=id) for id in ids)
    await transaction.flush()
    return schemas.Conversation(
        id=conversation.id,
        title=title,
        created_at=conversation.created_at,
        members=(await _members(transaction, [conversation.id]))[conversation.id],
        unread_count=0,
    )


async def leave_conversation(transaction: AsyncSession, conversation_id: str, user_id: str) -> list[str]:
    """Remove a member, and return the ids of those who stay."""
    await require_member(transaction, conversation_id, user_id)
    await transaction.execute(delete(Member).filter_by(conversation_id=conversation_id, user_id=user_id))
    return list(await transaction.scalars(select(Member.user_id).filter_by(conversation_id=conversation_id)))


async def require_member(transaction: AsyncSession, conversation_id: str, user_id: str, *, lock: bool = False) -> None:
    """Check that a user is a member of a conversation.

    Args:
        transaction: where to look.
        conversation_id: the conversation.
        user_id: the user.
        lock: whether to keep others from writing to the conversation until the transaction ends.

    Raises:
        HTTPException: 404 if there is no such conversation, 403 if the user is not a member.
    """
    membership = (Member.conversation_id == Conversation.id) & (Member.user_id == user_id)
    query = (
        select(Conversation.id, Member.user_id).outerjoin(Member, membership).where(Conversation.id == conversation_id)
    )
    if lock:
        # On SQLite the writing transaction itself is the lock. NO KEY UPDATE still lets inserts refer to the row.
        query = query.with_for_update(of=Conversation, key_share=True)
    row = (await transaction.execute(query)).one_or_none()
    if row is None:
        raise HTTPException(404, "This conversation does not exist.")
    if row.user_id is None:
        raise HTTPException(403, "You are not a member of this conversation.")


async def joined_conversations(transaction: AsyncSession, user_id: str, ids: Collection[str]) -> set[str]:
    """Return which of `ids` are conversations that the user is a member of."""
    query = select(Member.conversation_id).where(Member.user_id == user_id, Member.conversation_id.in_(ids))
    return set(await transaction.scalars(query)) if ids else set()


async def existing_users(transaction: AsyncSession, ids: Collection[str]) -> set[str]:
    """Return which of `ids` are users."""
    return set(await transaction.scalars(select(User.id).where(User.id.in_(ids)))) if ids else set()


def _summaries(user_id: str) -> Select[Conversation, Message | None, int]:
    latest = aliased(Message)
    latest_id = (
        select(latest.id)
        .where(latest.conversation_id == Conversation.id)
        .order_by(latest.id.desc())
        .limit(1)
        .correlate(Conversation)
        .scalar_subquery()
    )
    return (
        select(Conversation, Message, _unread_count(user_id))
        .join(Member, Member.conversation_id == Conversation.id)
        .outerjoin(Message, Message.id == latest_id)
        .where(Member.user_id == user_id)
        .order_by(func.coalesce(Message.id, Conversation.id).desc())
        .limit(MAX_LISTED)
    )


def _unread_count(user_id: str) -> ColumnElement[int]:
    unread = aliased(Message)
    rows = (
        select(literal(1))
        .where(
            unread.conversation_id == Conversation.id,
            unread.id > func.coalesce(Member.last_read_message_id, literal(_LOWEST_ID, Message.id.type)),
            unread.sender_id != user_id,
        )
        .limit(MAX_UNREAD)
        .correlate(Conversation, Member)
        .subquery()
    )
    return select(func.count()).select_from(rows).scalar_subquery()


async def _members(transaction: AsyncSession, conversation_ids: Collection[str]) -> dict[str, list[schemas.Member]]:
    members: dict[str, list[schemas.Member]] = defaultdict(list)
    query = (
        select(Member, User).join(User, User.id == Member.user_id).where(Member.conversation_id.in_(conversation_ids))
    )
    for member, user in await transaction.execute(query.order_by(User.username)):
        members[member.conversation_id].append(
            schemas.Member(
                user=schemas.User.model_validate(user),
                last_read_message_id=member.last_read_message_id,
                last_read_at=member.last_read_at,
            )
        )
    return members
