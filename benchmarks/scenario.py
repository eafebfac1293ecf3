"""The task of every server: which users connect, what the clients send and wait for, which event is published."""

from __future__ import annotations

from functools import cache
from typing import Final

from hubbub import MessageNew, mint_token

# Only the public API is imported here: `benchmarks.pairs` runs this module with older versions of Hubbub as well.

PATH: Final = "/ws"
SECRET: Final = "for measurements only: thirty-two bytes at least"
CONVERSATION: Final = "conversation"
ROOM_SIZE: Final = 10
BUSY_SOCKETS: Final = 100
REST_SOCKETS: Final = 10

READY: Final = "server.system.ready"
SUBSCRIBED: Final = "server.system.subscribed"
EVENT: Final = "server.messenger.message_new"
TYPING: Final = "client.messenger.typing"
EVENT_BYTES: Final = 200


def user_id(index: int) -> str:
    """Return the user id of connection `index`: each connection belongs to another user."""
    return f"user-{index:07d}"


@cache
def token(index: int) -> str:
    """Return a JWT (HS256) of the user of connection `index`."""
    return mint_token(user_id(index), key=SECRET)


def event(number: int, conversation: str = CONVERSATION, sender: int = 0) -> MessageNew:
    """Return the event that is published: 200 bytes on the wire, if the ids have twelve characters.

    Args:
        number: the message's id, written with 21 digits. Where latency is measured, it is the time the event was due.
        conversation: the topic's id.
        sender: a member of the conversation, as in real use: the event then matches
            two subscriptions of one socket, and the server must send one copy.
    """
    return MessageNew(
        conversation_id=conversation,
        message_id=f"{number:021d}",
        sender_id=user_id(sender),
        created_at="2026-01-01T12:00:00.000Z",
    )
