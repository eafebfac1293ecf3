"""Starting, listing and leaving conversations."""

from __future__ import annotations

from fastapi import APIRouter

from hubbub import ConversationsChanged, Envelope, Topic, notify
from hubbub_messenger.conversations import create_conversation, leave_conversation, list_conversations
from hubbub_messenger.problems import responses
from hubbub_messenger.routes.dependencies import Caller, ConversationId, DatabaseDependency, GatewayDependency
from hubbub_messenger.shapes import ConversationOut, NewConversation

router = APIRouter(prefix="/conversations", tags=["conversations"], responses=responses(401))


@router.get("", summary="List your conversations")
async def show_conversations(caller: Caller, database: DatabaseDependency) -> list[ConversationOut]:
    """Gives the caller's 512 most recently active conversations, as many as one socket can follow."""
    async with database.reading() as transaction:
        return await list_conversations(transaction, caller.user.id)


@router.post("", status_code=201, responses=responses(400, 403, 413, 415, 422), summary="Start a conversation")
async def start_conversation(
    new: NewConversation, caller: Caller, database: DatabaseDependency, gateway: GatewayDependency
) -> ConversationOut:
    """Starts a conversation, then tells its members with ``conversations_changed``."""
    async with database.writing() as transaction:
        conversation = await create_conversation(transaction, caller.user.id, new.member_ids, new.title)
    gateway.touch(caller.user.id)
    notify(Envelope.of(ConversationsChanged()), users=[member.user.id for member in conversation.members])
    return conversation


@router.delete("/{id}/members/me", status_code=204, responses=responses(403, 404, 422), summary="Leave a conversation")
async def leave(id: ConversationId, caller: Caller, database: DatabaseDependency, gateway: GatewayDependency) -> None:
    """Leaves a conversation: its signals end, and ``conversations_changed`` tells those who stay and who left."""
    async with database.writing() as transaction:
        remaining = await leave_conversation(transaction, id, caller.user.id)
    await gateway.revoke(caller.user.id, Topic("conversation", id))
    gateway.touch(caller.user.id)
    notify(Envelope.of(ConversationsChanged()), users=[*remaining, caller.user.id])
