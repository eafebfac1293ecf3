"""Messages, as queries. Every function expects that its caller has checked the membership."""

from __future__ import annotations

from datetime import datetime

from fastapi import HTTPException
from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hubbub_messenger.ids import new_id
from hubbub_messenger.models import Member, Message
from hubbub_messenger.shapes import MessageOut, MessagePage
from hubbub_messenger.times import now


async def page_of_messages(
    transaction: AsyncSession, conversation_id: str, before: str | None, limit: int
) -> MessagePage:
    """Gives the newest messages, or the newest ones older than ``before``. What arrives meanwhile moves no page."""
    query = select(Message).where(Message.conversation_id == conversation_id)
    if before is not None:
        query = query.where(Message.id < before)
    # One more than asked for tells whether there is a next page.
    found = (await transaction.scalars(query.order_by(Message.id.desc()).limit(limit + 1))).all()
    messages = [MessageOut.model_validate(message) for message in found[:limit]]
    return MessagePage(messages=messages, next_before=messages[-1].id if len(found) > limit else None)


async def add_message(transaction: AsyncSession, conversation_id: str, sender_id: str, body: str) -> MessageOut:
    """Adds a message behind all others; the caller holds the conversation's lock."""
    latest = select(Message.id).where(Message.conversation_id == conversation_id).order_by(Message.id.desc()).limit(1)
    id = new_id(after=await transaction.scalar(latest))
    message = Message(id=id, conversation_id=conversation_id, sender_id=sender_id, body=body)
    transaction.add(message)
    await transaction.flush()
    return MessageOut.model_validate(message)


async def mark_read(transaction: AsyncSession, conversation_id: str, user_id: str, message_id: str) -> datetime | None:
    """Moves the place up to which a member has read; gives when, or None where it was there or further already.

    Answers 422 where the message is not one of the conversation.
    """
    if not await transaction.scalar(select(Message.id).filter_by(id=message_id, conversation_id=conversation_id)):
        raise HTTPException(422, "There is no such message in this conversation.")
    read_at = now()
    # Decided by the statement itself: two tabs that report at the same time cannot move it back.
    moved = await transaction.execute(
        update(Member)
        .filter_by(conversation_id=conversation_id, user_id=user_id)
        .where(or_(Member.last_read_message_id.is_(None), Member.last_read_message_id < message_id))
        .values(last_read_message_id=message_id, last_read_at=read_at)
    )
    return read_at if isinstance(moved, CursorResult) and moved.rowcount else None
