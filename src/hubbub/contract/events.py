"""The event map: every built-in event, with its payload and its audience.

Names and payloads are the seed's, word for word. `ready`, `subscribed`, `resync` and `conversations_changed`
are added, because a client cannot be correct without them.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, UnsetType

from hubbub.contract.registry import ClientEvent, Payload, ServerEvent, event
from hubbub.contract.topics import Topic

Status = Literal["online", "away", "offline"]
DisconnectReason = Literal["heartbeat_timeout", "client_close", "auth_failed"]


# --- system ---------------------------------------------------------------------------------------------------------


@event("client.system.subscribe")
class Subscribe(ClientEvent, frozen=True):
    """Replaces the socket's whole set of subscriptions. Answered by `server.system.subscribed`."""

    topics: tuple[Topic, ...]


@event("server.system.ready")
class Ready(ServerEvent, frozen=True):
    """The socket is authenticated and registered."""

    user_id: str
    socket_id: str


@event("server.system.subscribed")
class Subscribed(ServerEvent, frozen=True):
    """From here on no signal on these topics is missed: now fetch the REST snapshot. Refused topics are not heard."""

    topics: tuple[Topic, ...]
    refused: tuple[Topic, ...]


@event("server.system.resync")
class Resync(ServerEvent, frozen=True):
    """Signals on these topics may have been lost: fetch again."""

    topics: tuple[Topic, ...]


@event("server.system.error")
class Error(ServerEvent, frozen=True):
    """Something the client asked for did not work. The envelope's `id` is that of the event that caused it."""

    message: str
    code: str | UnsetType = UNSET


@event("server.system.internal_disconnect", internal=True)
class InternalDisconnect(Payload, frozen=True):
    """A registered socket is gone. The bus's own event: handed to domains, never sent."""

    user_id: str
    """The user whose socket it was."""
    socket_id: str
    """The `socket_id` of its context."""
    reason: DisconnectReason
    """`heartbeat_timeout`: pongs were missed; `auth_failed`: 4401 or 4403; otherwise `client_close`."""


# --- messenger ------------------------------------------------------------------------------------------------------


@event("server.messenger.message_new", topics={"conversation": "conversation_id"}, users=["sender_id"])
class MessageNew(ServerEvent, frozen=True):
    """A message was created over REST. Times are ISO 8601 in UTC."""

    conversation_id: str
    """The conversation. Its subscribers hear the event."""
    message_id: str
    """The message to fetch over REST."""
    sender_id: str
    """The sender, whose own sockets hear the event too."""
    created_at: str
    """ISO 8601 in UTC."""


@event("server.messenger.message_read", topics={"conversation": "conversation_id"}, users=["reader_id"])
class MessageRead(ServerEvent, frozen=True):
    """A member has read a conversation up to this message. Times are ISO 8601 in UTC."""

    conversation_id: str
    """The conversation. Its subscribers hear the event."""
    message_id: str
    """The last message that was read."""
    reader_id: str
    """The reader, whose own sockets hear the event too."""
    read_at: str
    """ISO 8601 in UTC."""


@event("server.messenger.conversations_changed", addressed=True)
class ConversationsChanged(ServerEvent, frozen=True):
    """A conversation was created, left or joined: fetch the list and subscribe again."""


@event("client.messenger.typing", topics={"conversation": "conversation_id"})
class Typing(ClientEvent, ServerEvent, frozen=True):
    """A user has started or stopped typing. Relayed with the sender's own `userId`; a receiver clears it after 6 s."""

    conversation_id: str
    """The conversation. Its subscribers hear the event."""
    user_id: str
    """The user who types. The relay sets it, whatever the client wrote."""
    is_typing: bool
    """False when the user has stopped."""


# --- presence -------------------------------------------------------------------------------------------------------


@event("server.presence.update", topics={"user": "user_id"}, users=["user_id"])
class PresenceUpdate(ServerEvent, frozen=True):
    """A user's announced status changed. `lastSeenAt` is ISO 8601 in UTC, absent while online."""

    user_id: str
    """The user. Subscribers of `user:<id>` and the user's own sockets hear the event."""
    status: Status
    """The status announced from now on."""
    last_seen_at: str | UnsetType = UNSET
    """ISO 8601 in UTC; absent while online."""


class UserStatus(Payload, frozen=True):
    """One user's announced status."""

    user_id: str
    """The user."""
    status: Status
    """The status that was last announced."""


@event("server.presence.batch")
class PresenceBatch(ServerEvent, frozen=True):
    """The snapshot that follows a subscription to `user` topics."""

    users: tuple[UserStatus, ...]
    """One for each `user` topic that the subscription added."""


SYSTEM_EVENTS: Final = (Subscribe, Ready, Subscribed, Resync, Error, InternalDisconnect)
MESSENGER_EVENTS: Final = (MessageNew, MessageRead, ConversationsChanged, Typing)
PRESENCE_EVENTS: Final = (PresenceUpdate, PresenceBatch)
