"""RFC 6455 frames, from the ``websockets`` library's Sans-I/O protocol."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

_logger = logging.getLogger("hubbub.frames")


def text_frame(data: bytes) -> bytes:
    """Frames one text message from the server: once per event, whatever the number of its listeners."""
    return _text_header(len(data)) + data


@lru_cache(maxsize=1024)
def _text_header(length: int) -> bytes:
    """Gives what stands before a text of so many bytes (RFC 6455 section 5.2): one length has one header."""
    frame = Frame(Opcode.TEXT, bytes(length)).serialize(mask=False)
    return frame[: len(frame) - length]


def texts_of(frames: bytes) -> tuple[str, ...]:
    """Gives the messages in what ``text_frame`` has made, joined as they leave: for who makes frames of their own."""
    texts, start = [], 0
    while start < len(frames):
        length, start = frames[start + 1], start + 2  # RFC 6455 section 5.2; no frame of ours is masked or fragmented
        if length > 125:
            extended = 2 if length == 126 else 8
            length, start = int.from_bytes(frames[start : start + extended], "big"), start + extended
        texts.append(frames[start : start + length].decode())
        start += length
    return tuple(texts)


PING: Final = Frame(Opcode.PING, b"").serialize(mask=False)


def is_pong(data: bytes) -> bool:
    """Tells whether bytes are the answer to PING and nothing else: the most that a socket at rest ever sends.

    RFC 6455 section 5.2: FIN and opcode, mask and length 0, and the key, which then masks nothing. Section 5.5.3: a
    pong has the ping's payload, so a client's other pongs are unsolicited, and are left to the codec.
    """
    return len(data) == 6 and data.startswith(b"\x8a\x80")


def text_in(data: bytes, most: int) -> str | None:
    """Gives the message where bytes are one whole text frame of a client and nothing else, as signals are.

    Gives None where they are anything else, or where anything is wrong with them: what, the codec finds.

    most: bytes a message may have. RFC 6455 section 5.2: FIN and opcode, mask and length, the key, the masked text.
    """
    if len(data) < 6 or data[0] != 0x81:
        return None
    length, start = data[1] - 0x80, 6
    if length > 125:
        if length == 127:
            return None
        length, start = int.from_bytes(data[2:4], "big"), 8
        if length < 126:  # which has a shorter form
            return None
    if len(data) != start + length or length > most:
        return None
    try:
        return str(apply_mask(data[start:], data[start - 4 : start]), "utf-8")
    except UnicodeDecodeError:
        return None


MAX_SPARE_CODECS: Final = 16
"""Codecs kept for the next socket. Sockets are served one after another, so one is usually enough."""


class FrameCodec(ServerProtocol):
    """Reads and writes the frames of an open WebSocket, and knows when it holds nothing of it.

    Between two messages a codec is as good as new, so a socket at rest needs none: sockets borrow one when bytes
    arrive, and give it back unless they stopped in the middle of something. That saves a third of a
    socket's memory.
    """

    ignored = 0
    """Frames that the peer has sent after our close frame; counted by who reads them."""

    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(state=OPEN, max_size=max_message_bytes, logger=_logger)
        self._between_messages = True
        self.debug = False  # at that level the library would log every frame, and frames hold what people say

    @property
    def is_reusable(self) -> bool:
        """Tells whether no byte, fragment or close of this socket is left in here."""
        return self._between_messages and self.state is OPEN and self.parser_exc is None

    def receive_data(self, data: bytes | bytearray) -> None:
        """Feeds bytes from the network."""
        self._between_messages = False
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        """Takes in one parsed frame; called by the parser."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # a close may come between fragments, as any control frame (RFC 6455 section 5.4)
        super().recv_frame(frame)
        # The parser reads ahead only while bytes are left. If the last byte fed was the last byte of a frame,
        # and that frame ended its message, nothing is in progress.
        self._between_messages = not self.reader.buffer and self.current_size is None


class CodecPool:
    """Lends codecs to sockets that have something to read or write."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._spare: list[FrameCodec] = []

    def borrow(self) -> FrameCodec:
        """Gives a codec that holds nothing of any socket."""
        return self._spare.pop() if self._spare else FrameCodec(self._max_message_bytes)

    def give_back(self, codec: FrameCodec) -> bool:
        """Takes a codec back where it is reusable; says whether it did."""
        if not codec.is_reusable:
            return False
        if len(self._spare) < MAX_SPARE_CODECS:
            self._spare.append(codec)
        return True
