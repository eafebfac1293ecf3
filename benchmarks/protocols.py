"""What a client sends to each kind of server, and how it recognises the responses. All else is the same for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from benchmarks import scenario
from benchmarks.scenario import BUSY_SOCKETS

if TYPE_CHECKING:
    from benchmarks.layout import Topic

RECORD_SEPARATOR: Final = "\x1e"
"""The load generator sends it as a newline."""

TIMESTAMP: Final = "0" * 21
"""The load generator and the bare C server replace it with the time, in what they send."""


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class ClientProtocol:
    """Hubbub's protocol. Servers without their own protocol speak it as well."""

    path: ClassVar[str] = scenario.PATH
    ready: ClassVar[str] = scenario.READY
    """A text in the first message to a connection; empty if the server sends none."""

    subscribed: ClassVar[str] = scenario.SUBSCRIBED
    event: ClassVar[str] = scenario.EVENT
    typing: ClassVar[str] = scenario.TYPING
    timestamp_prefix: ClassVar[str] = '"messageId":"'
    """The text before the time at which an event was due."""

    ping: ClassVar[str] = ""
    """A message that the server sends as a ping, if it does not use RFC 6455's; `pong` is the answer."""

    pong: ClassVar[str] = ""

    joins_by_line: ClassVar[bool] = False
    """Whether each line of a WebSocket message is a separate message."""

    echoes_to_sender: ClassVar[bool] = False
    """Whether a typing event is also delivered to its sender."""

    @property
    def body(self) -> str:
        """Return the message that is posted over REST."""
        return _json(
            {
                "id": TIMESTAMP,
                "conversationId": "rest-channel",
                "senderId": scenario.user_id(BUSY_SOCKETS),  # the first of the topic's subscribers
                "body": "The quick brown fox jumps over the lazy dog.",
            }
        )

    def header(self, index: int) -> str:
        """Return the header that authenticates a connection."""
        return f"Authorization: Bearer {scenario.token(index)}"

    def greeting(self, index: int) -> str:
        """Return the first message of a connection; empty if the header is enough."""
        return ""

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Return the event that subscribes a connection."""
        return self.message("client.system.subscribe", _topics(topics))

    def typing_event(self, index: int, room: Topic) -> str:
        """Return the event that a user sends while typing."""
        return self.message(scenario.TYPING, _typing(index, room))

    def message(self, type: str, data: dict[str, object]) -> str:
        """Return a payload in its envelope."""
        return _json({"type": type, "data": data, "ts": 1})


class EventsOnly(ClientProtocol):
    """Servers that do not authenticate and send only events."""

    ready = ""

    def header(self, index: int) -> str:
        """Return nothing."""
        return ""

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Return nothing."""
        return ""


class SocketIO(ClientProtocol):
    """Socket.IO 5 over Engine.IO 4, by WebSocket from the start."""

    path = "/socket.io/?EIO=4&transport=websocket"
    ready = '40{"sid"'
    ping, pong = "2", "3"

    def header(self, index: int) -> str:
        """Return nothing: Socket.IO expects the token in its CONNECT packet."""
        return ""

    def greeting(self, index: int) -> str:
        """Return the CONNECT packet."""
        return "40" + _json({"token": scenario.token(index)})

    def message(self, type: str, data: dict[str, object]) -> str:
        """Return an EVENT packet."""
        return "42" + _json([type, data])


class Chanx(ClientProtocol):
    """chanx: `action` and `payload`."""

    timestamp_prefix = '"messageId": "'

    def message(self, type: str, data: dict[str, object]) -> str:
        """Return a payload in its envelope."""
        return _json({"action": type, "payload": data})


class Centrifugo(ClientProtocol):
    """Centrifugo's bidirectional protocol in JSON: commands with ids, one a line."""

    path = "/connection/websocket"
    ready = '"connect":{"client"'
    subscribed = '{"id":9,"subscribe"'
    timestamp_prefix = '"messageId": "'
    ping = pong = "{}"
    joins_by_line = True
    echoes_to_sender = True

    def header(self, index: int) -> str:
        """Return nothing: the token is in the connect command."""
        return ""

    def greeting(self, index: int) -> str:
        """Return the connect command."""
        return _json({"id": 1, "connect": {"token": scenario.token(index)}})

    def subscribe(self, index: int, topics: Sequence[Topic]) -> str:
        """Return one command per topic. The last id is always 9, which `subscribed` waits for."""
        first = 10 - len(topics)
        commands = enumerate(topics, first)
        return RECORD_SEPARATOR.join(_json({"id": id, "subscribe": {"channel": topic.id}}) for id, topic in commands)

    def typing_event(self, index: int, room: Topic) -> str:
        """Return the command that publishes to the room; Centrifugo adds who sent it."""
        event = {"type": scenario.TYPING, "data": _typing(index, room)}
        return _json({"id": 10, "publish": {"channel": room.id, "data": event}})


def _topics(topics: Sequence[Topic]) -> dict[str, object]:
    return {"topics": [{"kind": topic.kind, "id": topic.id} for topic in topics]}


def _typing(index: int, room: Topic) -> dict[str, object]:
    return {"conversationId": room.id, "userId": scenario.user_id(index), "isTyping": True}
