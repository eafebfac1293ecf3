"""Reading and sending messages. REST is authoritative; the socket only signals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from hubbub import Envelope, MessageNew, MessageRead, notify
from hubbub_messenger import messages, schemas
from hubbub_messenger.conversations import require_member
from hubbub_messenger.problem_details import responses
from hubbub_messenger.routes.dependencies import Caller, ConversationId, DatabaseDependency, GatewayDependency
from hubbub_messenger.timestamps import to_iso

router = APIRouter(prefix="/conversations/{id}", tags=["messages"], responses=responses(401, 403, 404, 422))


@router.get("/messages", summary="List messages")
async def list_messages(
    id: ConversationId,
    caller: Caller,
    database: DatabaseDependency,
    before: Annotated[
        schemas.Id | None, Query(description="only messages older than this one: the `nextBefore` of a page")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> schemas.MessagePage:
    """Return a page of messages, newest first."""
    async with database.reading() as transaction:
        await require_member(transaction, id, caller.user.id)
        return await messages.list_messages(transaction, id, before, limit)


@router.post("/messages", status_code=201, responses=responses(400, 413, 415), summary="Send a message")
async def send_message(
    id: ConversationId,
    new: schemas.NewMessage,
    caller: Caller,
    database: DatabaseDependency,
    gateway: GatewayDependency,
) -> schemas.Message:
    """Store a message, then signal `message_new` to the conversation."""
    async with database.writing() as transaction:
        await require_member(transaction, id, caller.user.id, lock=True)
        message = await messages.add_message(transaction, id, caller.user.id, new.body)
    gateway.touch(caller.user.id)
    notify(
        Envelope.of(
            MessageNew(
                conversation_id=id,
                message_id=message.id,
                sender_id=message.sender_id,
                created_at=to_iso(message.created_at),
            )
        )
    )
    return message


@router.post("/read", status_code=204, responses=responses(400, 413, 415), summary="Mark messages as read")
async def mark_read(id: ConversationId, read: schemas.ReadMarker, caller: Caller, database: DatabaseDependency) -> None:
    """Mark everything up to a message as read, then signal `message_read`. An older message changes nothing.

    This is not activity: clients send it by themselves when a message comes into view.
    """
    async with database.writing() as transaction:
        await require_member(transaction, id, caller.user.id)
        read_at = await messages.mark_read(transaction, id, caller.user.id, read.message_id)
    if read_at is not None:
        notify(
            Envelope.of(
                MessageRead(
                    conversation_id=id,
                    message_id=read.message_id,
                    reader_id=caller.user.id,
                    read_at=to_iso(read_at),
                )
            )
        )
