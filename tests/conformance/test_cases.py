"""The most important cases of the Autobahn suite, on the product's endpoint. `make conformance` runs all of them.

Instead of an echo, these tests send an event that no domain handles: the error in response has the event's id.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator

import pytest

from hubbub.testing import Address
from tests.support import make_gateway, running
from tests.websocket import CLOSE, RawSocket, frame

CONTINUATION, TEXT, PING, PONG = 0, 1, 9, 10


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    async with running(make_gateway()) as address:
        yield address


@pytest.fixture
async def raw(address: Address) -> AsyncIterator[RawSocket]:
    """A registered socket that has read its `ready`."""
    async with RawSocket.open(address, "alice") as raw:
        await raw.next_frame()
        yield raw


def message(id: str, padding: int = 0) -> bytes:
    envelope = {"type": "client.test.echo", "data": {"padding": "x" * padding}, "ts": 1, "id": id}
    return json.dumps(envelope, ensure_ascii=False).encode()


async def echoed(raw: RawSocket) -> str:
    """Return the id of the event that the next frame answers."""
    opcode, payload = await raw.next_frame()
    assert opcode == TEXT, (opcode, payload)
    id: str = json.loads(payload)["id"]
    return id


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


@pytest.mark.parametrize("payload", [b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125])
async def test_2_1_to_2_4_a_ping_is_answered_with_its_own_payload(raw: RawSocket, payload: bytes) -> None:
    await raw.write(frame(PING, payload))

    assert await raw.next_frame() == (PONG, payload)


async def test_2_5_a_ping_that_is_too_long_fails_the_connection(raw: RawSocket) -> None:
    await raw.write(frame(PING, b"\xfe" * 126))

    assert await raw.close_code() == 1002


async def test_2_6_a_ping_that_arrives_byte_by_byte_is_answered(raw: RawSocket) -> None:
    for octet in frame(PING, b"slowly" * 20):
        await raw.write(bytes([octet]))

    assert await raw.next_frame() == (PONG, b"slowly" * 20)


@pytest.mark.parametrize("rsv", range(1, 8))
async def test_3_a_reserved_bit_fails_the_connection_after_earlier_frames_are_handled(raw: RawSocket, rsv: int) -> None:
    await raw.write(frame(TEXT, message("before")) + frame(TEXT, message("after"), rsv=rsv) + frame(PING, b"later"))

    assert await echoed(raw) == "before"
    assert await raw.next_frame() == (CLOSE, struct.pack("!H", 1002) + b"reserved bits must be 0")


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_4_a_reserved_opcode_fails_the_connection(raw: RawSocket, opcode: int) -> None:
    await raw.write(frame(TEXT, message("before")) + frame(opcode, b"") + frame(PING, b"later"))

    assert await echoed(raw) == "before"
    assert await raw.close_code() == 1002


async def test_5_6_a_ping_between_fragments_is_answered_before_the_message_is_whole(raw: RawSocket) -> None:
    whole = message("in two fragments")
    await raw.write(frame(TEXT, whole[:20], fin=False) + frame(PING, b"between"))
    assert await raw.next_frame() == (PONG, b"between")

    await raw.write(frame(CONTINUATION, whole[20:]))
    assert await echoed(raw) == "in two fragments"


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([frame(PING, b"frag", fin=False), frame(CONTINUATION, b"ment")], id="5.1 a fragmented ping"),
        pytest.param([frame(CONTINUATION, b"stray")], id="5.9 a continuation of nothing"),
        pytest.param([frame(TEXT, b"one", fin=False), frame(TEXT, b"two")], id="5.18 text inside a message"),
    ],
)
async def test_5_fragments_out_of_order_fail_the_connection(raw: RawSocket, frames: list[bytes]) -> None:
    await raw.write(b"".join(frames))

    assert await raw.close_code() == 1002


async def test_6_2_a_character_may_be_cut_in_two_by_fragments(raw: RawSocket) -> None:
    whole = message("Hello-µ@ßöäüàá-UTF-8!! 𝄞")
    parts = [whole[start : start + 3] for start in range(0, len(whole), 3)]  # fewer than the 64 allowed
    await raw.write(frame(TEXT, parts[0], fin=False))
    for part in parts[1:-1]:
        await raw.write(frame(CONTINUATION, part, fin=False))
    await raw.write(frame(CONTINUATION, parts[-1]))

    assert await echoed(raw) == "Hello-µ@ßöäüàá-UTF-8!! 𝄞"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"], id="6.3.1 a surrogate"),
        pytest.param([b"\xce\xba\xe1\xbd\xb9", b"\xf4\x90\x80\x80", b"edited"], id="6.4.1 beyond Unicode, cut"),
        pytest.param([b"\xc0\xaf"], id="6.13 an overlong slash"),
        pytest.param([b"\xce"], id="6.6 a character that does not end"),
    ],
)
async def test_6_text_that_is_not_utf_8_fails_the_connection(raw: RawSocket, parts: list[bytes]) -> None:
    last = len(parts) - 1
    for index, part in enumerate(parts):
        await raw.write(frame(CONTINUATION if index else TEXT, part, fin=index == last))

    assert await raw.close_code() == 1007


async def test_7_1_2_and_7_1_3_after_a_close_nothing_more_is_answered(raw: RawSocket) -> None:
    await raw.write(close_frame(1000) + close_frame(1000) + frame(PING, b"late") + frame(TEXT, message("late")))

    assert await raw.next_frame() == (CLOSE, struct.pack("!H", 1000))
    assert await raw.reader.read() == b""


async def test_7_1_5_a_close_may_arrive_in_the_middle_of_a_message(raw: RawSocket) -> None:
    await raw.write(frame(TEXT, b"fragment1", fin=False) + close_frame(1000) + frame(CONTINUATION, b"fragment2"))

    assert await raw.next_frame() == (CLOSE, struct.pack("!H", 1000))
    assert await raw.reader.read() == b""


@pytest.mark.parametrize("payload", [b"", struct.pack("!H", 1000), struct.pack("!H", 1000) + b"*" * 123])
async def test_7_3_a_close_is_answered_with_its_own_payload(raw: RawSocket, payload: bytes) -> None:
    await raw.write(frame(CLOSE, payload))

    assert await raw.next_frame() == (CLOSE, payload)
    assert await raw.reader.read() == b""


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
async def test_7_7_a_code_that_a_peer_may_send_is_sent_back(raw: RawSocket, code: int) -> None:
    await raw.write(close_frame(code))

    assert await raw.close_code() == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
async def test_7_9_a_code_that_no_peer_may_send_fails_the_connection(raw: RawSocket, code: int) -> None:
    await raw.write(close_frame(code))

    assert await raw.close_code() == 1002


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b"\x03", 1002, id="7.3.2 half a code"),
        pytest.param(struct.pack("!H", 1000) + b"*" * 124, 1002, id="7.3.6 a reason that is too long"),
        pytest.param(struct.pack("!H", 1000) + b"\xce\xba\xed\xa0\x80", 1007, id="7.5.1 a reason that is not UTF-8"),
    ],
)
async def test_7_a_close_with_a_bad_payload_fails_the_connection(raw: RawSocket, payload: bytes, expected: int) -> None:
    await raw.write(frame(CLOSE, payload))

    assert await raw.close_code() == expected


async def test_10_1_a_long_message_may_be_split_into_many_frames(raw: RawSocket) -> None:
    whole = message("in chunks", padding=64_000)
    for start in range(0, len(whole), 1300):
        is_last = start + 1300 >= len(whole)
        await raw.write(frame(CONTINUATION if start else TEXT, whole[start : start + 1300], fin=is_last))

    assert await echoed(raw) == "in chunks"
