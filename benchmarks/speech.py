"""What a client says to each kind of server, and how it knows the answers: the rest of the load is the same for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from benchmarks import workload
from benchmarks.workload import BUSY_SOCKETS

if TYPE_CHECKING:
    from benchmarks.layout import Topic

STAMP: Final = "0" * 21
"""Becomes the time, in a message that the load generator or the floor sends."""


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class Speech:
    """Hubbub's wire, which servers without one of their own speak as well."""

    path: ClassVar[str] = workload.PATH
    ready: ClassVar[str] = workload.READY
    """What the first message to a connection contains; empty where there is none."""

    subscribed: ClassVar[str] = workload.SUBSCRIBED
    event: ClassVar[str] = workload.EVENT
    typed: ClassVar[str] = workload.TYPING
    mark: ClassVar[str] = '"messageId":"'
    """What stands in front of the time at which an event was due."""

    engine_io: ClassVar[bool] = False

    @property
    def body(self) -> str:
        """Gives the message that is posted over REST."""
        return _json(
            {
                "id": STAMP,
                "conversationId": "rest-channel",
                "senderId": workload.user_id(BUSY_SOCKETS),  # the first who hears it
                "body": "The quick brown fox jumps over the lazy dog.",
            }
        )

    def header(self, index: int) -> str:
        """Gives the header that says who a connection is."""
        return f"Authorization: Bearer {workload.token(index)}"

    def greeting(self, index: int) -> str:
        """Gives what a connection says first, where its header does not say everything."""
        return ""

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Gives the event by which a connection subscribes."""
        return self.message("client.system.subscribe", _topics(topics))

    def typing(self, index: int, room: Topic) -> str:
        """Gives the event that says that somebody types."""
        return self.message(workload.TYPING, _typing(index, room))

    def message(self, type: str, data: dict[str, object]) -> str:
        """Wraps a payload."""
        return _json({"type": type, "data": data, "ts": 1})


class Silence(Speech):
    """Servers that ask nobody who they are and tell nobody anything but events."""

    ready = ""

    def header(self, index: int) -> str:
        """Gives nothing."""
        return ""

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Gives nothing."""
        return ""


class SocketIO(Speech):
    """Socket.IO 5 over Engine.IO 4, by WebSocket from the start."""

    path = "/socket.io/?EIO=4&transport=websocket"
    ready = '40{"sid"'
    engine_io = True

    def header(self, index: int) -> str:
        """Gives nothing: the token is in the greeting, which is what Socket.IO has for it."""
        return ""

    def greeting(self, index: int) -> str:
        """Gives the CONNECT packet."""
        return "40" + _json({"token": workload.token(index)})

    def message(self, type: str, data: dict[str, object]) -> str:
        """Gives an EVENT packet."""
        return "42" + _json([type, data])


class Chanx(Speech):
    """chanx: ``action`` and ``payload``."""

    mark = '"messageId": "'

    def message(self, type: str, data: dict[str, object]) -> str:
        """Wraps a payload."""
        return _json({"action": type, "payload": data})


def _topics(topics: Sequence[Topic]) -> dict[str, object]:
    return {"topics": [{"kind": topic.kind, "id": topic.id} for topic in topics]}


def _typing(index: int, room: Topic) -> dict[str, object]:
    return {"conversationId": room.id, "userId": workload.user_id(index), "isTyping": True}
