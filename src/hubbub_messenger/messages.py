"""Queries for messages. Their callers have checked that the user is a member."""

from __future__ import annotations

from datetime import datetime

from fastapi import HTTPException
from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hubbub_messenger import schemas
from hubbub_messenger.ids import new_id
from hubbub_messenger.models import Member, Message
from hubbub_messenger.timestamps import utc_now


async def list_messages(
    transaction: AsyncSession, conversation_id: str, before: str | None, limit: int
) -> schemas.MessagePage:
    """Return the newest messages, or the newest ones before a message. New messages do not shift the pages.

    Args:
        transaction: where to look.
        conversation_id: the conversation.
        before: the id of a message; only older ones are returned.
        limit: the size of the page.
    """
    query = select(Message).where(Message.conversation_id == conversation_id)
    if before is not None:
        query = query.where(Message.id < before)
    # One message more than the page holds shows that there is a next page.
    found = (await transaction.scalars(query.order_by(Message.id.desc()).limit(limit + 1))).all()
    messages = [schemas.Message.model_validate(message) for message in found[:limit]]
    return schemas.MessagePage(messages=messages, next_before=messages[-1].id if len(found) > limit else None)


async def add_message(transaction: AsyncSession, conversation_id: str, sender_id: str, body: str) -> schemas.Message:
    """Add a message after all others. The caller holds the lock of the conversation."""
    latest = select(Message.id).where(Message.conversation_id == conversation_id).order_by(Message.id.desc()).limit(1)
    id = new_id(after=await transaction.scalar(latest))
    message = Message(id=id, conversation_id=conversation_id, sender_id=sender_id, body=body)
    transaction.add(message)
    await transaction.flush()
    return schemas.Message.model_validate(message)


async def mark_read(transaction: AsyncSession, conversation_id: str, user_id: str, message_id: str) -> datetime | None:
    """Mark everything up to a message as read. Return when, or None if the member had read it before.

    Raises:
        HTTPException: 422, if the message is not one of this conversation.
    """
    if not await transaction.scalar(select(Message.id).filter_by(id=message_id, conversation_id=conversation_id)):
        raise HTTPException(422, "This conversation does not have this message.")
    read_at = utc_now()
    # The statement itself compares: two tabs that report at the same time cannot move the marker back.
    moved = await transaction.execute(
        update(Member)
        .filter_by(conversation_id=conversation_id, user_id=user_id)
        .where(or_(Member.last_read_message_id.is_(None), Member.last_read_message_id < message_id))
        .values(last_read_message_id=message_id, last_read_at=read_at)
    )
    return read_at if isinstance(moved, CursorResult) and moved.rowcount else None
