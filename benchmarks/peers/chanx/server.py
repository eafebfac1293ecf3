"""chanx on FastAPI: typed messages, groups in its Redis layer, events passed through to clients.

The layers are those of Django Channels; the documentation of both asks for Redis in production.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import jwt
import structlog
from chanx.core.authenticator import BaseAuthenticator
from chanx.core.decorators import channel, event_handler, ws_handler
from chanx.fast_channels.websocket import AsyncJsonWebsocketConsumer
from chanx.messages.base import BaseMessage
from fast_channels.layers import register_channel_layer
from fast_channels.layers.redis import RedisPubSubChannelLayer
from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.routing import WebSocketRoute

sys.path.append(str(Path(__file__).parents[1]))
import common

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))  # warnings: no line per socket


class Topic(BaseModel):
    kind: str
    id: str


class Topics(BaseModel):
    topics: list[Topic]


class MessagePayload(BaseModel):
    conversationId: str  # noqa: N815 - the wire's own name
    messageId: str  # noqa: N815
    senderId: str  # noqa: N815
    createdAt: str  # noqa: N815
    ts: int


class TypingPayload(BaseModel):
    conversationId: str  # noqa: N815
    userId: str  # noqa: N815
    isTyping: bool  # noqa: N815


class RelayedPayload(BaseModel):
    sender: str
    typing: TypingPayload


class User(BaseModel):
    userId: str  # noqa: N815


class Ready(BaseMessage):
    action: Literal["server.system.ready"] = "server.system.ready"
    payload: User


class Subscribe(BaseMessage):
    action: Literal["client.system.subscribe"] = "client.system.subscribe"
    payload: Topics


class Subscribed(BaseMessage):
    action: Literal["server.system.subscribed"] = "server.system.subscribed"
    payload: Topics


class MessageNew(BaseMessage):
    action: Literal["server.messenger.message_new"] = "server.messenger.message_new"
    payload: MessagePayload


class Typing(BaseMessage):
    action: Literal["client.messenger.typing"] = "client.messenger.typing"
    payload: TypingPayload


class Relayed(BaseMessage):
    action: Literal["relayed"] = "relayed"
    payload: RelayedPayload


class Authenticator(BaseAuthenticator):
    user_id = ""

    async def authenticate(self, scope: MutableMapping[str, Any]) -> bool:
        try:
            self.user_id = common.user_of_header(dict(scope["headers"]).get(b"authorization", b"").decode())
        except jwt.InvalidTokenError:
            return False
        return True


@channel(name="messenger", description="Messages and typing")
class Consumer(AsyncJsonWebsocketConsumer):
    channel_layer_alias = "default"
    authenticator_class = Authenticator
    groups: ClassVar[list[str]] = []
    passthrough_events: ClassVar[list[type[BaseMessage]]] = [MessageNew]

    async def post_authentication(self) -> None:
        await self.send_message(Ready(payload=User(userId=self.authenticator.user_id)))

    @ws_handler(output_type=Subscribed)
    async def subscribe(self, message: Subscribe) -> Subscribed:
        for room in list(self.groups):
            await self.leave_group(room)
        for topic in message.payload.topics:
            await self.join_group(topic.id)
        return Subscribed(payload=message.payload)

    @ws_handler
    async def typing(self, message: Typing) -> None:
        typing = message.payload.model_copy(update={"userId": self.authenticator.user_id})
        relayed = Relayed(payload=RelayedPayload(sender=self.channel_name, typing=typing))
        await self.broadcast_event(relayed, groups=[typing.conversationId])

    @event_handler(output_type=Typing)
    async def relayed(self, event: Relayed) -> Typing | None:
        return None if event.payload.sender == self.channel_name else Typing(payload=event.payload.typing)


register_channel_layer("default", RedisPubSubChannelLayer(hosts=[common.REDIS], prefix=common.PREFIX))
app = FastAPI()
app.router.routes.append(WebSocketRoute("/ws", Consumer.as_asgi()))
store = common.Store()


async def publish(room: str, due: int) -> None:
    payload = MessagePayload(**common.message_new(room, due), ts=common.envelope("", {})["ts"])
    await Consumer.broadcast_event(MessageNew(payload=payload), groups=[room])


@app.post("/publish")
async def publish_all(request: Request) -> dict[str, int]:
    return await common.publish_all(request.query_params, publish)


@app.post("/collect")
async def collect() -> dict[str, int]:
    return {"unreachable": gc.collect()}


@app.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    await store.add(message)
    await publish(message["conversationId"], int(message["id"]))
    return message
