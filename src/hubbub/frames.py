"""RFC 6455 frames, from the `websockets` library's Sans-I/O protocol."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

_logger = logging.getLogger("hubbub.frames")

PING: Final = Frame(Opcode.PING, b"").serialize(mask=False)

MAX_REASON_BYTES: Final = 123
"""RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the close code."""


def text_frame(data: bytes) -> bytes:
    """Return one text message from the server as a frame; made once per event, for any number of sockets."""
    return _text_header(len(data)) + data


@lru_cache(maxsize=1024)
def _text_header(length: int) -> bytes:
    """Return the header of a text of so many bytes (RFC 6455 section 5.2): one length has one header."""
    frame = Frame(Opcode.TEXT, bytes(length)).serialize(mask=False)
    return frame[: len(frame) - length]


def split_text_frames(frames: bytes) -> tuple[str, ...]:
    """Return the messages in frames that `text_frame` has made and that were joined for one write."""
    texts, start = [], 0
    while start < len(frames):
        length, start = frames[start + 1], start + 2  # RFC 6455 section 5.2; no frame of ours is masked or fragmented
        if length > 125:
            extended = 2 if length == 126 else 8
            length, start = int.from_bytes(frames[start : start + extended], "big"), start + extended
        texts.append(frames[start : start + length].decode())
        start += length
    return tuple(texts)


def is_pong(data: bytes) -> bool:
    """Return whether bytes are the answer to PING and nothing else, as all that a socket at rest ever sends.

    RFC 6455 section 5.2: FIN and opcode, mask and length 0, and the key, which then masks nothing. Section 5.5.3: a
    pong has the ping's payload, so any other pong is unsolicited, and is left to the codec.
    """
    return len(data) == 6 and data.startswith(b"\x8a\x80")


def parse_text_frame(data: bytes, max_bytes: int) -> str | None:
    """Return the message if the bytes are exactly one whole text frame of a client, as signals are; otherwise None.

    None also stands for every fault in a frame; the codec then says which one.

    RFC 6455 section 5.2: FIN and opcode, mask and length, the key, the masked text.

    Args:
        data: What the network has brought.
        max_bytes: The limit on the length of the message.
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
    if len(data) != start + length or length > max_bytes:
        return None
    try:
        return str(apply_mask(data[start:], data[start - 4 : start]), "utf-8")
    except UnicodeDecodeError:
        return None


def fit_close_reason(reason: str) -> str:
    """Return as much of a reason as fits into a close frame."""
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


MAX_SPARE_CODECS: Final = 16
"""Codecs kept for the next socket. Sockets are served one after another, so one is usually enough."""


class FrameCodec(ServerProtocol):
    """Reads and writes the frames of an open WebSocket, and knows whether anything of it is left inside.

    Between two messages a codec is as good as new, so a socket at rest needs none (docs/decisions/0001). A socket
    borrows one when bytes arrive, and gives it back unless the bytes ended in the middle of something.
    """

    ignored_frames = 0
    """Frames that the peer has sent after our close frame; counted by the socket that reads them."""

    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(state=OPEN, max_size=max_message_bytes, logger=_logger)
        self._is_between_messages = True
        self.debug = False  # at that level the library would log every frame, and frames hold what people say

    @property
    def is_reusable(self) -> bool:
        """Whether no byte, fragment or close frame of this socket is left in here."""
        return self._is_between_messages and self.state is OPEN and self.parser_exc is None

    def receive_data(self, data: bytes | bytearray) -> None:
        """Parse bytes from the network."""
        self._is_between_messages = False
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        """Process one parsed frame; called by the parser."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None  # a close may come between fragments, as any control frame (RFC 6455 section 5.4)
        super().recv_frame(frame)
        # The parser reads ahead only while bytes are left. If the last byte fed was the last byte of a frame,
        # and that frame ended its message, nothing is in progress.
        self._is_between_messages = not self.reader.buffer and self.current_size is None


class CodecPool:
    """Lends codecs to the sockets that have something to read or write."""

    def __init__(self, max_message_bytes: int) -> None:
        self.spare: list[FrameCodec] = []
        self._max_message_bytes = max_message_bytes

    def borrow(self) -> FrameCodec:
        """Return a codec that holds nothing of any socket."""
        return self.spare.pop() if self.spare else FrameCodec(self._max_message_bytes)

    def give_back(self, codec: FrameCodec) -> bool:
        """Take a codec back if it is reusable, and return whether it is."""
        if not codec.is_reusable:
            return False
        if len(self.spare) < MAX_SPARE_CODECS:
            self.spare.append(codec)
        return True
