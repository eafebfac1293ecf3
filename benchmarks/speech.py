"""What a client says to each kind of server, and how it knows the answers: the rest of the load is the same for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from benchmarks import workload
from benchmarks.workload import BUSY_SOCKETS

if TYPE_CHECKING:
    from benchmarks.layout import Topic

RECORD_SEPARATOR: Final = "\x1e"
"""Becomes a newline, in a message that the load generator sends."""

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

    ping: ClassVar[str] = ""
    """A message that the server sends as a ping, where it does not use RFC 6455's; ``pong`` answers it."""

    pong: ClassVar[str] = ""

    joins_by_line: ClassVar[bool] = False
    """Whether a message holds as many of them as it has lines."""

    sender_hears: ClassVar[bool] = False
    """Whether who types hears it as well."""

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
    ping, pong = "2", "3"

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


class Centrifugo(Speech):
    """Centrifugo's bidirectional protocol, in JSON: commands with ids, a line each."""

    path = "/connection/websocket"
    ready = '"connect":{"client"'
    subscribed = '{"id":9,"subscribe"'
    mark = '"messageId": "'
    ping = pong = "{}"
    joins_by_line = True
    sender_hears = True

    def header(self, index: int) -> str:
        """Gives nothing: the token is in the greeting."""
        return ""

    def greeting(self, index: int) -> str:
        """Gives the connect command."""
        return _json({"id": 1, "connect": {"token": workload.token(index)}})

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Gives a command for each topic; the last one's id is always the same."""
        first = 10 - len(topics)
        commands = enumerate(topics, first)
        return RECORD_SEPARATOR.join(_json({"id": id, "subscribe": {"channel": topic.id}}) for id, topic in commands)

    def typing(self, index: int, room: Topic) -> str:
        """Gives the command that publishes to the room; Centrifugo adds who has."""
        said = {"type": workload.TYPING, "data": _typing(index, room)}
        return _json({"id": 10, "publish": {"channel": room.id, "data": said}})


def _topics(topics: Sequence[Topic]) -> dict[str, object]:
    return {"topics": [{"kind": topic.kind, "id": topic.id} for topic in topics]}


def _typing(index: int, room: Topic) -> dict[str, object]:
    return {"conversationId": room.id, "userId": workload.user_id(index), "isTyping": True}
