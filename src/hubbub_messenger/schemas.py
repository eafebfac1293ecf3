"""What REST accepts and returns: camelCase in JSON, snake_case in Python. An optional field is absent, never null."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from hubbub_messenger.timestamps import to_iso

USER_ID: Final = "alice"
CONVERSATION_ID: Final = "01980f3e-7c00-7000-8000-000000000001"
MESSAGE_ID: Final = "01980f3e-7c00-7000-8000-000000000002"

Timestamp = Annotated[
    datetime,
    PlainSerializer(to_iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2030-01-31T12:00:00.000Z"]}),
]
"""A time in ISO 8601, in UTC."""

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
"""Text that every database can store: PostgreSQL cannot store NUL."""

UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", examples=[USER_ID])]
"""The id of a user. It is valid as the id of a topic too."""

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
"""The id of a conversation or a message."""


def optional(**description: Any) -> Any:
    """Declare an optional field: None in Python, absent in JSON."""
    return Field(default=None, exclude_if=lambda value: value is None, **description)


def _drop_titles(schema: dict[str, Any]) -> None:
    """Remove the titles that Pydantic derives from the names: they say the same in another spelling."""
    schema.pop("title", None)
    for field in schema["properties"].values():
        field.pop("title", None)


class Schema(BaseModel):
    """The base of all that REST accepts and returns."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, from_attributes=True, json_schema_extra=_drop_titles
    )


class Credentials(Schema):
    """A username and its password."""

    username: Annotated[Text, Field(min_length=1, max_length=64, examples=[USER_ID])]
    password: Annotated[
        str, Field(min_length=1, max_length=1024, examples=["alice"], json_schema_extra={"format": "password"})
    ]


class Session(Schema):
    """A login. Browsers send the cookie; other clients send the token as `Authorization: Bearer`."""

    user_id: UserId
    token: str = Field(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"])
    expires_at: Timestamp


class User(Schema):
    """A person who can log in and write messages."""

    id: UserId
    username: str = Field(examples=[USER_ID])
    display_name: str = Field(examples=["Alice"])
    created_at: Timestamp


class NewMessage(Schema):
    """A message to send."""

    body: Annotated[Text, Field(min_length=1, max_length=4000, examples=["Hello, Bob!"])]


class Message(Schema):
    """A message that was sent. Ids grow: of two messages in a conversation, the later one has the greater id."""

    id: Id = Field(examples=[MESSAGE_ID])
    conversation_id: Id = Field(examples=[CONVERSATION_ID])
    sender_id: UserId
    body: str = Field(examples=["Hello, Bob!"])
    created_at: Timestamp


class MessagePage(Schema):
    """Messages, newest first."""

    messages: list[Message]
    next_before: Id | SkipJsonSchema[None] = optional(
        description="`before` of the next page; absent on the last page", examples=[MESSAGE_ID]
    )


class ReadMarker(Schema):
    """The newest message that a member has read."""

    message_id: Id = Field(examples=[MESSAGE_ID])


class NewConversation(Schema):
    """A conversation to start. Its creator becomes a member, whether listed or not."""

    member_ids: list[UserId] = Field(min_length=1, max_length=100, examples=[["bob", "carol"]])
    title: Annotated[Text, Field(min_length=1, max_length=128)] | SkipJsonSchema[None] = optional(examples=["Lunch"])


class Member(Schema):
    """A member, and how far they have read. The event `message_read` announces changes."""

    user: User
    last_read_message_id: Id | SkipJsonSchema[None] = optional(examples=[MESSAGE_ID])
    last_read_at: Timestamp | SkipJsonSchema[None] = optional()


class Conversation(Schema):
    """A conversation, as one of its members sees it."""

    id: Id = Field(examples=[CONVERSATION_ID])
    title: str | SkipJsonSchema[None] = optional(examples=["Lunch"])
    created_at: Timestamp
    members: list[Member]
    last_message: Message | SkipJsonSchema[None] = optional()
    unread_count: int = Field(
        description="messages of others after the last one read; counting stops at 100", examples=[1]
    )


class Presence(Schema):
    """The announced status of a user."""

    user_id: UserId
    status: Literal["online", "away", "offline"]
    last_seen_at: Timestamp | SkipJsonSchema[None] = optional()


class Health(Schema):
    """The answer of a healthy node. An unhealthy one answers with a problem."""

    status: Literal["ok"] = "ok"
