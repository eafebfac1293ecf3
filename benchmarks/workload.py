"""What every server under measurement is asked to do: who connects, what they subscribe to, which event they hear."""

from __future__ import annotations

from functools import cache
from typing import Final

from hubbub import MessageNew, mint_token
from hubbub.contract.envelope import Envelope, encode

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
    """Gives the id of the user on connection ``index``: each connection is another user's."""
    return f"user-{index:07d}"


@cache
def token(index: int) -> str:
    """Gives a JWT (HS256) of one user."""
    return mint_token(user_id(index), key=SECRET)


def event(number: int, conversation: str = CONVERSATION, sender: int = 0) -> MessageNew:
    """Gives the event that everybody hears, from one of them: 200 bytes on the wire where ids have twelve characters.

    number: the message's id, of 21 digits: the moment it was due, where latency is measured.
    sender: a member of the conversation, as in life, so that it is found out that they hear it for two reasons.
    """
    return MessageNew(
        conversation_id=conversation,
        message_id=f"{number:021d}",
        sender_id=user_id(sender),
        created_at="2026-01-01T12:00:00.000Z",
    )


def event_text() -> str:
    """Gives such an event as it is on the wire, for servers that do not know what they send."""
    return encode(Envelope.of(event(0))).decode()
