"""Django Channels: an async consumer, groups in its Redis layer, messages in Django's own ORM.

Its documentation reserves the in-memory layer for tests: for each message to a socket, that layer scans every other
socket, and a broadcast to thousands takes minutes.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import django
import jwt
from django.conf import settings

sys.path.append(str(Path(__file__).parents[1]))
import common

LAYER = {
    "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
    "CONFIG": {"hosts": [common.REDIS], "prefix": common.PREFIX},
}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=common.SECRET,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": common.DATABASE,
            "OPTIONS": {"init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"},
        }
    },
    CHANNEL_LAYERS={"default": LAYER},
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402 - Django needs its settings first
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class Message(models.Model):
    """One message."""

    id = models.TextField(primary_key=True)
    conversation = models.TextField()
    sender = models.TextField()
    body = models.TextField()
    created = models.TextField()

    class Meta:
        app_label = "benchmark"


if not Path(common.DATABASE).exists():
    with connection.schema_editor() as editor:
        editor.create_model(Message)


class Consumer(AsyncWebsocketConsumer):
    """One socket."""

    async def connect(self) -> None:
        await self.accept()
        headers = dict(self.scope["headers"])
        try:
            self.user_id = common.user_of_header(headers.get(b"authorization", b"").decode())
        except jwt.InvalidTokenError:
            await self.close(4401, "unauthorized")
            return
        await self._send(common.READY, {"userId": self.user_id})

    async def disconnect(self, code: int) -> None:
        await self._leave()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        event = json.loads(text_data or "")
        data = event["data"]
        if event["type"] == common.SUBSCRIBE:
            await self._leave()
            self.groups = common.rooms_of(data)
            for room in self.groups:
                await self.channel_layer.group_add(room, self.channel_name)
            await self._send(common.SUBSCRIBED, data)
        elif event["type"] == common.TYPING:
            typing = common.envelope(common.TYPING, {**data, "userId": self.user_id})
            text = json.dumps(typing, separators=(",", ":"))
            relayed = {"type": "relayed", "text": text, "sender": self.channel_name}
            await self.channel_layer.group_send(data["conversationId"], relayed)

    async def signal(self, event: dict[str, Any]) -> None:
        await self.send(text_data=event["text"])

    async def relayed(self, event: dict[str, Any]) -> None:
        if event["sender"] != self.channel_name:
            await self.send(text_data=event["text"])

    async def _leave(self) -> None:
        for room in self.groups or ():
            await self.channel_layer.group_discard(room, self.channel_name)
        self.groups = []

    async def _send(self, type: str, data: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(common.envelope(type, data), separators=(",", ":")))


async def publish(room: str, due: int) -> None:
    text = json.dumps(common.envelope(common.EVENT, common.message_new(room, due)), separators=(",", ":"))
    await get_channel_layer().group_send(room, {"type": "signal", "text": text})


async def publish_all(request: HttpRequest) -> JsonResponse:
    return JsonResponse(await common.publish_all(request.GET, publish))


async def collect(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"unreachable": gc.collect()})


async def create_message(request: HttpRequest) -> JsonResponse:
    message = json.loads(request.body)
    await Message.objects.acreate(
        id=message["id"],
        conversation=message["conversationId"],
        sender=message["senderId"],
        body=message["body"],
        created=common.now_iso(),
    )
    await publish(message["conversationId"], int(message["id"]))
    return JsonResponse(message, status=201)


urlpatterns = [path("publish", publish_all), path("collect", collect), path("messages", create_message)]
app = ProtocolTypeRouter({"http": get_asgi_application(), "websocket": URLRouter([path("ws", Consumer.as_asgi())])})
