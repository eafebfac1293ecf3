"""Reading and writing messages: REST has the last word, the socket only signals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hubbub import Envelope, MessageNew, MessageRead, notify
from hubbub_messenger.conversations import require_member
from hubbub_messenger.messages import add_message, mark_read, page_of_messages
from hubbub_messenger.problems import responses
from hubbub_messenger.routes.dependencies import Caller, ConversationId, DatabaseDependency, GatewayDependency
from hubbub_messenger.shapes import Id, MessageOut, MessagePage, NewMessage, ReadUpTo
from hubbub_messenger.times import iso

router = APIRouter(prefix="/conversations/{id}", tags=["messages"], responses=responses(401, 403, 404, 422))


@router.get("/messages", summary="Read messages")
async def read_messages(
    id: ConversationId,
    caller: Caller,
    database: DatabaseDependency,
    before: Annotated[Id | None, Query(description="only messages older than this one: a page's `nextBefore`")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> MessagePage:
    """Gives a page of messages, newest first."""
    async with database.reading() as transaction:
        await require_member(transaction, id, caller.user.id)
        return await page_of_messages(transaction, id, before, limit)


@router.post("/messages", status_code=201, responses=responses(400, 413, 415), summary="Send a message")
async def send_message(
    id: ConversationId, new: NewMessage, caller: Caller, database: DatabaseDependency, gateway: GatewayDependency
) -> MessageOut:
    """Sends a message, then signals ``message_new`` to the conversation."""
    async with database.writing() as transaction:
        await require_member(transaction, id, caller.user.id, lock=True)
        message = await add_message(transaction, id, caller.user.id, new.body)
    gateway.touch(caller.user.id)
    notify(
        Envelope.of(
            MessageNew(
                conversation_id=id,
                message_id=message.id,
                sender_id=message.sender_id,
                created_at=iso(message.created_at),
            )
        )
    )
    return message


@router.post("/read", status_code=204, responses=responses(400, 413, 415), summary="Say how far you have read")
async def read_up_to(id: ConversationId, read: ReadUpTo, caller: Caller, database: DatabaseDependency) -> None:
    """Moves the caller's place forward, then signals ``message_read``; a place further back changes nothing.

    It is no activity: a client sends it by itself, whenever a message comes into view.
    """
    async with database.writing() as transaction:
        await require_member(transaction, id, caller.user.id)
        read_at = await mark_read(transaction, id, caller.user.id, read.message_id)
    if read_at is not None:
        notify(
            Envelope.of(
                MessageRead(
                    conversation_id=id,
                    message_id=read.message_id,
                    reader_id=caller.user.id,
                    read_at=iso(read_at),
                )
            )
        )
