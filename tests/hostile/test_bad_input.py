"""Broken and hostile input, sent raw over real connections, and the answer each must get."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import AsyncIterator, Awaitable, Iterator

import pytest
import pytest_asyncio

from hubbub import Context, Domain, Envelope, Gateway, MessengerDomain, Router, Typing
from hubbub.limits import Limits
from hubbub.testing import Address
from tests.support import Client, make_gateway, running, services_of, types
from tests.websocket import RawSocket, frame

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return make_gateway()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    async with running(gateway) as address:
        yield address


@pytest.fixture(autouse=True)
def assert_no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO, "hubbub")
    yield
    assert [record for record in caplog.records if record.exc_info] == []


def envelope(data: str = "{}", type: str = '"client.messenger.typing"', ts: str = "1") -> str:
    return f'{{"type":{type},"data":{data},"ts":{ts}}}'


TYPING = '{"conversationId":"c","userId":"u","isTyping":true}'

MALFORMED = {
    "empty text": "",
    "bad JSON": "{",
    "an array": "[]",
    "null": "null",
    "NaN": envelope(TYPING, ts="NaN"),
    "1e999 in a declared field": envelope(TYPING, ts="1e999"),
    "nesting 30,000 deep": "[" * 30_000,
    "nesting 30,000 deep in an unknown field": envelope('{"x":' + "[" * 15_000 + "]" * 15_000 + "}"),
    "a 5,000-digit integer": envelope(TYPING, ts="9" * 5_000),
    "a lone surrogate": envelope('{"conversationId":"\\ud800","userId":"u","isTyping":true}'),
    "no type": '{"data":{},"ts":1}',
    "no data": '{"type":"client.messenger.typing","ts":1}',
    "no ts": '{"type":"client.messenger.typing","data":' + TYPING + "}",
    "type not a string": envelope(TYPING, type="5"),
    "data not an object": envelope("[]"),
    "data not an object, type unknown": envelope("[]", type='"client.future.event"'),
    "id not a string": '{"type":"client.messenger.typing","data":' + TYPING + ',"ts":1,"id":5}',
    "a BOM": "\ufeff" + envelope(TYPING),
    "missing fields in data": envelope('{"conversationId":"c"}'),
    "wrong fields in data": envelope('{"conversationId":"c","userId":"u","isTyping":"yes"}'),
    "topics not a list": envelope('{"topics":{}}', type='"client.system.subscribe"'),
    "a topic without an id": envelope('{"topics":[{"kind":"user"}]}', type='"client.system.subscribe"'),
    "a server event": envelope('{"userId":"u","status":"online"}', type='"server.presence.update"'),
    "an unknown server event": envelope(type='"server.x.y"'),
    "an event without a direction": envelope(type='"typing"'),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_event_closes_with_4400(server: Address, gateway: Gateway, text: str) -> None:
    async with Client.open(server, "bob") as bystander:
        async with Client.open(server, "alice") as alice:
            await alice.socket.send(text)

            code, reason = await alice.closed()

        assert code == 4400
        assert reason.startswith("malformed event")
        assert await bystander.heard() == []
        assert [socket.context.user_id for socket in services_of(gateway).hub] == ["bob"]


PROTOCOL_FAULTS = {
    "an unmasked frame": (1002, frame(TEXT, b"{}", mask=False)),
    "RSV bits": (1002, frame(TEXT, b"{}", rsv=4)),
    "opcode 3": (1002, frame(3, b"{}")),
    "a ping of 126 bytes": (1002, frame(PING, b"x" * 126)),
    "a fragmented ping": (1002, frame(PING, b"x", fin=False)),
    "a stray continuation": (1002, frame(CONTINUATION, b"x")),
    "text inside fragments": (1002, frame(TEXT, b"x", fin=False) + frame(TEXT, b"x")),
    "close code 999": (1002, frame(CLOSE, struct.pack("!H", 999))),
    "close code 1005": (1002, frame(CLOSE, struct.pack("!H", 1005))),
    "close code 5000": (1002, frame(CLOSE, struct.pack("!H", 5000))),
    "a close of one byte": (1002, frame(CLOSE, b"x")),
    "bad UTF-8 in text": (1007, frame(TEXT, b"\xff\xfe")),
    "bad UTF-8 over fragments": (1007, frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\xc3")),
    "bad UTF-8 in a close reason": (1007, frame(CLOSE, struct.pack("!H", 1000) + b"\xff")),
    "binary": (1003, frame(BINARY, b"{}")),
    "64 KiB and one byte": (1009, frame(TEXT, b" " * (64 * 1024 + 1))),
    "fragments over 64 KiB": (
        1009,
        frame(TEXT, b" " * 40_000, fin=False) + frame(CONTINUATION, b" " * 40_000),
    ),
    "a declared length of 2^62": (1009, b"\x81\xff" + struct.pack("!Q", 2**62) + b"mask"),
}


@pytest.mark.parametrize(("code", "data"), PROTOCOL_FAULTS.values(), ids=PROTOCOL_FAULTS.keys())
async def test_a_protocol_error_closes_with_its_code(server: Address, gateway: Gateway, code: int, data: bytes) -> None:
    before = gateway.stats.closes[code]
    async with Client.open(server, "bob") as bystander, RawSocket.open(server, "alice") as raw:
        await raw.write(data)

        assert await raw.close_code() == code
        assert await bystander.heard() == []
        assert [socket.context.user_id for socket in services_of(gateway).hub] == ["bob"]
    assert gateway.stats.closes[code] == before + 1


async def test_the_close_frame_arrives_even_if_the_client_keeps_sending(server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.write(frame(TEXT, b" " * (64 * 1024 + 1)) + frame(TEXT, b"x" * 60_000) * 20)

        assert await raw.close_code() == 1009


async def test_events_before_a_fault_in_the_same_bytes_are_handled(server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        unknown = envelope(type='"client.x.y"').encode()
        await raw.write(frame(TEXT, unknown) + frame(BINARY, b"x") + frame(TEXT, b"garbage"))

        events = await raw.events_until_close()
        assert types(events) == ["server.system.ready", "server.system.error"]
        assert raw.received_close_code == 1003


async def test_a_fragmented_message_with_a_ping_in_between_is_one_message(server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        text = envelope(type='"client.x.y"').encode()
        for byte in frame(TEXT, text[:5], fin=False) + frame(PING, b"are you there") + frame(CONTINUATION, text[5:]):
            await raw.write(bytes([byte]))

        assert await raw.next_frame() == (PONG, b"are you there")
        opcode, payload = await raw.next_frame()
        assert opcode == TEXT
        assert json.loads(payload)["data"]["code"] == "unknown_type"


async def test_the_largest_allowed_message_is_read(server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        message = envelope('{"x":""}', type='"client.x.y"')
        await alice.socket.send(message.replace('""', '"' + "x" * (64 * 1024 - len(message)) + '"'))

        assert (await alice.expect("server.system.error"))["code"] == "unknown_type"


async def test_an_unknown_client_event_is_answered_and_the_socket_stays(server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        await alice.send("client.future.event", {"a": 1}, id="q7")

        event = await alice.receive()
        assert event["type"] == "server.system.error"
        assert event["id"] == "q7"
        assert event["data"]["code"] == "unknown_type"
        assert await alice.heard() == []


async def test_unknown_fields_and_late_pongs_have_no_effect(server: Address) -> None:
    async with Client.open(server, "alice", "conversation:c") as alice, RawSocket.open(server, "bob") as bob:
        text = '{"type":"client.system.subscribe","data":{"topics":[],"new":[1]},"ts":1.5,"more":{"a":null}}'
        await alice.socket.send(text)
        assert await alice.expect("server.system.subscribed") == {"topics": [], "refused": []}
        await bob.next_frame()  # ready
        await bob.write(frame(PONG, b"late") + frame(PING, b"1"))
        assert await bob.next_frame() == (PONG, b"1")


FORBIDDEN = {
    "the app refuses it": {"kind": "conversation", "id": "secret"},
    "an unknown kind": {"kind": "galaxy", "id": "m31"},
    "an empty id": {"kind": "user", "id": ""},
    "CRLF": {"kind": "user", "id": "a\r\nb"},
    "NUL": {"kind": "user", "id": "a\x00b"},
    "256 characters": {"kind": "user", "id": "x" * 256},
}


@pytest.mark.parametrize("topic", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_a_forbidden_topic_is_refused_and_the_others_replace_the_set(
    server: Address, topic: dict[str, str]
) -> None:
    async with Client.open(server, "alice", "conversation:old") as alice:
        good = {"kind": "conversation", "id": "c1"}
        await alice.send("client.system.subscribe", {"topics": [topic, good]}, id="q1")

        assert await alice.expect("server.system.subscribed") == {"topics": [good], "refused": [topic]}
        error = await alice.receive()
        assert (error["id"], error["data"]["code"]) == ("q1", "topic_forbidden")
        assert repr(topic["id"])[1:-1][:100] in error["data"]["message"]
        assert await alice.heard() == []


async def test_topics_beyond_the_limit_are_refused_and_the_first_512_replace_the_set(server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        answer = await alice.subscribe(*[f"conversation:{number}" for number in range(514)])

        assert [topic["id"] for topic in answer["topics"]] == [str(number) for number in range(512)]
        assert [topic["id"] for topic in answer["refused"]] == ["512", "513"]
        assert types(await alice.heard()) == ["server.system.error"]


class FaultyDomain(Domain):
    """Handles typing in ways no handler should."""

    events = MessengerDomain.events

    def register_handlers(self, router: Router) -> None:
        router.on(Typing, self.typing)

    def typing(self, ctx: Context, message: Envelope[Typing]) -> Awaitable[None] | None:
        match message.data.conversation_id:
            case "raise":
                raise RuntimeError("the handler's own bug")
            case "await and raise":
                return self.fail()
            case "cancel itself":
                return self.cancel()
            case _:
                return self.hang()

    async def hang(self) -> None:
        await asyncio.sleep(3600)

    async def fail(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("the handler's own bug")

    async def cancel(self) -> None:
        raise asyncio.CancelledError


@pytest.mark.parametrize("fault", ["raise", "await and raise", "cancel itself", "hang"])
async def test_a_handler_that_fails_is_reported_and_the_socket_stays(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = make_gateway(domains=[FaultyDomain()], limits=Limits(handler_seconds=0.05))
    async with running(gateway) as server, Client.open(server, "alice") as alice:
        data = {"conversationId": fault, "userId": "x", "isTyping": True}
        await alice.send("client.messenger.typing", data, id="q1")

        error = await alice.receive()

        assert error["type"] == "server.system.error"
        assert (error["id"], error["data"]["code"]) == ("q1", "timeout" if fault == "hang" else "internal")
        assert "bug" not in error["data"]["message"]
        assert await alice.heard() == []
        logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(logged) == 1
        caplog.clear()
