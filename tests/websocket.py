"""A WebSocket client that builds its frames by hand, so that it can send invalid ones."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import struct
from collections.abc import AsyncIterator
from typing import Self

from hubbub.testing import Address
from tests.support import Json

CLOSE = 8


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    """Return one frame (RFC 6455 section 5.2), valid or not."""
    length = len(payload)
    second = 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if length < 126:
        head += bytes([second | length])
    elif length < 65536:
        head += struct.pack("!BH", second | 126, length)
    else:
        head += struct.pack("!BQ", second | 127, length)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


class RawSocket:
    """A TCP connection after the opening handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.received_close_code: int | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: Address, user: str) -> AsyncIterator[Self]:
        """Open a WebSocket as `user`; `ready` is the first frame to read."""
        async with cls.upgraded(address, f"Authorization: {user}") as raw:
            yield raw

    @classmethod
    @contextlib.asynccontextmanager
    async def upgraded(cls, address: Address, *headers: str, path: str = "/ws") -> AsyncIterator[Self]:
        """Open a WebSocket with further headers."""
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(upgrade(address, *headers, path=path))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def next_frame(self) -> tuple[int, bytes]:
        """Read one unmasked frame; return its opcode and its payload."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(length)

    async def events_until_close(self) -> list[Json]:
        """Return the events before the close frame, whose code is then in `received_close_code`."""
        events: list[Json] = []
        while True:
            opcode, payload = await self.next_frame()
            if opcode == CLOSE:
                (self.received_close_code,) = struct.unpack("!H", payload[:2])
                return events
            if opcode == 1:
                events.append(json.loads(payload))

    async def close_code(self) -> int | None:
        """Read until the close frame; return its code."""
        await self.events_until_close()
        return self.received_close_code


def upgrade(address: Address, *headers: str, path: str = "/ws", method: str = "GET", version: str = "13") -> bytes:
    """Return an upgrade request with a valid key."""
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {address.host}:{address.port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Version: {version}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
