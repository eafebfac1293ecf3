"""Listing, starting and leaving conversations."""

from __future__ import annotations

from fastapi import APIRouter

from hubbub import ConversationsChanged, Envelope, Topic, notify
from hubbub_messenger import conversations, schemas
from hubbub_messenger.problem_details import responses
from hubbub_messenger.routes.dependencies import Caller, ConversationId, DatabaseDependency, GatewayDependency

router = APIRouter(prefix="/conversations", tags=["conversations"], responses=responses(401))


@router.get("", summary="List your conversations")
async def list_conversations(caller: Caller, database: DatabaseDependency) -> list[schemas.Conversation]:
    """Return your 512 most recently active conversations: as many as one socket can subscribe to."""
    async with database.reading() as transaction:
        return await conversations.list_conversations(transaction, caller.user.id)


@router.post("", status_code=201, responses=responses(400, 403, 413, 415, 422), summary="Start a conversation")
async def create_conversation(
    new: schemas.NewConversation, caller: Caller, database: DatabaseDependency, gateway: GatewayDependency
) -> schemas.Conversation:
    """Start a conversation, then send `conversations_changed` to its members."""
    async with database.writing() as transaction:
        conversation = await conversations.create_conversation(transaction, caller.user.id, new.member_ids, new.title)
    gateway.touch(caller.user.id)
    notify(Envelope.of(ConversationsChanged()), users=[member.user.id for member in conversation.members])
    return conversation


@router.delete("/{id}/members/me", status_code=204, responses=responses(403, 404, 422), summary="Leave a conversation")
async def leave_conversation(
    id: ConversationId, caller: Caller, database: DatabaseDependency, gateway: GatewayDependency
) -> None:
    """Leave a conversation and its topic, then send `conversations_changed` to you and to those who stay."""
    async with database.writing() as transaction:
        remaining = await conversations.leave_conversation(transaction, id, caller.user.id)
    await gateway.revoke(caller.user.id, Topic("conversation", id))
    gateway.touch(caller.user.id)
    notify(Envelope.of(ConversationsChanged()), users=[*remaining, caller.user.id])
