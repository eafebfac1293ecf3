"""A codec reads the same messages however the bytes are split, and is reused only when it holds no unread bytes."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from websockets.frames import Frame, Opcode

from hubbub.frames import (
    MAX_SPARE_CODECS,
    PING,
    CodecPool,
    FrameCodec,
    is_pong,
    parse_text_frame,
    split_text_frames,
    text_frame,
)
from tests.websocket import frame


def messages_of(codec: FrameCodec) -> list[bytes]:
    return [bytes(event.data) for event in codec.events_received() if isinstance(event, Frame)]


def test_a_text_frame_is_encoded_as_in_rfc_6455() -> None:
    assert text_frame(b"Hello") == bytes.fromhex("810548656c6c6f")  # section 5.7, the unmasked single-frame message
    assert text_frame(b"x" * 200)[:4] == bytes.fromhex("817e00c8")
    assert bytes.fromhex("8900") == PING


@given(key=st.binary(min_size=4, max_size=4))
def test_bytes_recognised_as_a_pong_are_a_pong_to_the_codec_too(key: bytes) -> None:
    pong = b"\x8a\x80" + key
    codec = FrameCodec(100)
    codec.receive_data(pong)

    assert is_pong(pong)
    assert codec.events_received() == [Frame(Opcode.PONG, b"")]
    assert codec.is_reusable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x8a\x80\1\2\3",  # incomplete
        b"\x8a\x80\1\2\3\4\x81",  # with more bytes behind it
        b"\x8a\x84\1\2\3\4",  # with a payload
        b"\x8a\x04\1\2\3\4",  # not masked
        b"\x0a\x80\1\2\3\4",  # fragmented
        b"\xca\x80\1\2\3\4",  # with a reserved bit
        b"\x89\x80\1\2\3\4",  # a ping
    ],
)
def test_other_bytes_are_left_to_the_codec(data: bytes) -> None:
    assert not is_pong(data)


def masked(payload: bytes, key: bytes) -> bytes:
    """Return a client's text frame with the given key."""
    open_frame = frame(1, payload, mask=False)
    head = open_frame[: len(open_frame) - len(payload)]
    text = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return head[:1] + bytes([head[1] | 0x80]) + head[2:] + key + text


def with_byte(data: bytes, at: int, byte: int) -> bytes:
    return data[:at] + bytes([byte]) + data[at + 1 :]


def nearly_text_frames() -> st.SearchStrategy[bytes]:
    """Draw text frames: valid ones, and some with a byte changed, removed or added."""
    texts = st.text(max_size=80) | st.sampled_from([124, 125, 126, 127, 300]).map("x".__mul__)
    whole = st.builds(masked, texts.map(str.encode) | st.binary(max_size=8), st.binary(min_size=4, max_size=4))
    changed = st.builds(with_byte, whole, st.integers(0, 5), st.integers(0, 255))
    return whole | changed | st.builds(lambda data, end: data[:end], whole, st.integers(0, 9)) | whole.map(one_more)


def one_more(data: bytes) -> bytes:
    return data + b"\x81"


@given(data=nearly_text_frames())
def test_bytes_parsed_as_one_text_are_one_text_to_the_codec_too(data: bytes) -> None:
    codec = FrameCodec(200)
    codec.receive_data(data)
    frames = [event for event in codec.events_received() if isinstance(event, Frame)]
    received = [bytes(each.data) for each in frames]
    is_text = codec.is_reusable and [(each.opcode, each.fin) for each in frames] == [(Opcode.TEXT, True)]
    text = parse_text_frame(data, 200)

    if text is not None:
        assert is_text
        assert received == [text.encode()]
    elif is_text:
        with pytest.raises(UnicodeDecodeError):
            received[0].decode()


@given(texts=st.lists(st.text(max_size=80) | st.sampled_from([125, 126, 65535, 65536]).map("x".__mul__), max_size=6))
def test_joined_frames_contain_the_original_texts(texts: list[str]) -> None:
    assert split_text_frames(b"".join(text_frame(text.encode()) for text in texts)) == tuple(texts)


@given(
    payloads=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 1000), max_size=12),
)
def test_a_codec_is_reusable_only_between_two_messages(payloads: list[bytes], cuts: list[int]) -> None:
    frames = [frame(1, payload) for payload in payloads]
    data = b"".join(frames)
    ends = {sum(map(len, frames[:count])) for count in range(1, len(frames) + 1)}
    codec, received, at = FrameCodec(65536), [], 0
    for cut in sorted({min(cut, len(data)) for cut in cuts} | {len(data)}):
        if cut == at:
            continue
        codec.receive_data(data[at:cut])
        received += messages_of(codec)
        at = cut
        assert codec.is_reusable == (at in ends)

    assert received == payloads


@pytest.mark.parametrize(
    "data",
    [
        frame(1, b"half")[:-1],
        frame(1, b"")[:1],
        frame(1, b"a", fin=False),
        frame(1, b"a", fin=False) + frame(9, b"ping between"),
        frame(8, b"\x03\xe8"),
        frame(3, b""),
    ],
    ids=["half a frame", "one byte", "a fragment", "a ping between fragments", "a close", "a fault"],
)
def test_a_codec_in_mid_message_stays_with_its_socket(data: bytes) -> None:
    pool = CodecPool(65536)
    codec = pool.borrow()
    codec.receive_data(data)

    assert not codec.is_reusable
    assert not pool.give_back(codec)
    assert pool.borrow() is not codec


def test_a_codec_that_has_sent_a_close_stays_with_its_socket() -> None:
    codec = FrameCodec(65536)
    codec.send_close(1000)

    assert not codec.is_reusable


def test_one_codec_serves_many_sockets_and_few_are_kept() -> None:
    pool = CodecPool(65536)
    codec = pool.borrow()
    codec.receive_data(frame(9, b"are you there"))
    assert b"".join(codec.data_to_send()) == Frame(Opcode.PONG, b"are you there").serialize(mask=False)
    codec.events_received()
    assert pool.give_back(codec)
    assert pool.borrow() is codec

    lent = [pool.borrow() for _ in range(2 * MAX_SPARE_CODECS)]
    assert all(pool.give_back(codec) for codec in lent)
    assert len(pool.spare) == MAX_SPARE_CODECS
