"""What every server under measurement is asked to do: who connects, what they subscribe to, which event they hear."""

from __future__ import annotations

import json
from typing import Final

from hubbub import MessageNew, mint_token
from hubbub.contract.envelope import Envelope, encode

PATH: Final = "/ws"
SECRET: Final = "for measurements only: thirty-two bytes at least"
CONVERSATION: Final = "conversation"

READY: Final = "server.system.ready"
SUBSCRIBED: Final = "server.system.subscribed"
EVENT: Final = "server.messenger.message_new"
EVENT_BYTES: Final = 200


def user_id(index: int) -> str:
    """Gives the id of the user on connection ``index``: each connection is another user's."""
    return f"user-{index:07d}"


def token(index: int) -> str:
    """Gives a JWT (HS256) of one user."""
    return mint_token(user_id(index), key=SECRET)


def subscribe(index: int) -> str:
    """Gives the event by which one user subscribes to two topics: their own, and the conversation of all."""
    topics = [{"kind": "user", "id": user_id(index)}, {"kind": "conversation", "id": CONVERSATION}]
    event = {"type": "client.system.subscribe", "data": {"topics": topics}, "ts": 1}
    return json.dumps(event, separators=(",", ":"))


def event(number: int) -> MessageNew:
    """Gives the event that everybody hears, from one of them: 200 bytes on the wire."""
    return MessageNew(
        conversation_id=CONVERSATION,
        message_id=f"{number:021d}",
        sender_id=user_id(0),
        created_at="2026-01-01T12:00:00.000Z",
    )


def event_text() -> str:
    """Gives such an event as it is on the wire, for servers that do not know what they send."""
    return encode(Envelope.of(event(0))).decode()
