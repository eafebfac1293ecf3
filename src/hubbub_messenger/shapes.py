"""The shapes of REST: camelCase JSON outside, snake_case inside. An optional field is absent, never ``null``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from hubbub_messenger.times import iso

USER: Final = "alice"
CONVERSATION: Final = "01980f3e-7c00-7000-8000-000000000001"
MESSAGE: Final = "01980f3e-7c00-7000-8000-000000000002"

#: A point in time: ISO 8601 in UTC.
Instant = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2030-01-31T12:00:00.000Z"]}),
]
#: Text that every database can hold: PostgreSQL has no room for NUL.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
#: The id of a user, usable as that of a topic as well.
UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", examples=[USER])]
#: The id of a conversation or a message.
Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]


def absent(**description: Any) -> Any:
    """Declares an optional field: None inside, left out of the JSON."""
    return Field(default=None, exclude_if=lambda value: value is None, **description)


class Shape(BaseModel):
    """Is the base of everything that REST says and hears."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Credentials(Shape):
    """What somebody logs in with."""

    username: Annotated[Text, Field(min_length=1, max_length=64, examples=[USER])]
    password: Annotated[
        str, Field(min_length=1, max_length=1024, examples=["alice"], json_schema_extra={"format": "password"})
    ]


class SessionOut(Shape):
    """A login. Browsers use the cookie, others send the token as ``Authorization: Bearer``."""

    user_id: UserId
    token: str = Field(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"])
    expires_at: Instant


class UserOut(Shape):
    """Somebody who can be talked to."""

    id: UserId
    username: str = Field(examples=[USER])
    display_name: str = Field(examples=["Alice"])
    created_at: Instant


class NewMessage(Shape):
    """A message to send."""

    body: Annotated[Text, Field(min_length=1, max_length=4000, examples=["Hello, Bob!"])]


class MessageOut(Shape):
    """A message that was sent. Ids grow: of two in one conversation, the greater id is the later message."""

    id: Id = Field(examples=[MESSAGE])
    conversation_id: Id = Field(examples=[CONVERSATION])
    sender_id: UserId
    body: str = Field(examples=["Hello, Bob!"])
    created_at: Instant


class MessagePage(Shape):
    """Messages, newest first."""

    messages: list[MessageOut]
    next_before: Id | SkipJsonSchema[None] = absent(
        description="`before` of the next page; absent on the last one", examples=[MESSAGE]
    )


class ReadUpTo(Shape):
    """The newest message that was read."""

    message_id: Id = Field(examples=[MESSAGE])


class NewConversation(Shape):
    """A conversation to start. Whoever starts it is a member, named or not."""

    member_ids: list[UserId] = Field(min_length=1, max_length=100, examples=[["bob", "carol"]])
    title: Annotated[Text, Field(min_length=1, max_length=128)] | SkipJsonSchema[None] = absent(examples=["Lunch"])


class MemberOut(Shape):
    """A member and how far they have read, which the signal ``message_read`` keeps up to date."""

    user: UserOut
    last_read_message_id: Id | SkipJsonSchema[None] = absent(examples=[MESSAGE])
    last_read_at: Instant | SkipJsonSchema[None] = absent()


class ConversationOut(Shape):
    """A conversation as one of its members sees it."""

    id: Id = Field(examples=[CONVERSATION])
    title: str | SkipJsonSchema[None] = absent(examples=["Lunch"])
    created_at: Instant
    members: list[MemberOut]
    last_message: MessageOut | SkipJsonSchema[None] = absent()
    unread_count: int = Field(description="messages of others after the last one read; counted up to 100", examples=[1])


class PresenceOut(Shape):
    """The announced status of a user."""

    user_id: UserId
    status: Literal["online", "away", "offline"]
    last_seen_at: Instant | SkipJsonSchema[None] = absent()


class Health(Shape):
    """All is well; anything else is a problem."""

    status: Literal["ok"] = "ok"
