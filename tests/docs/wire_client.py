"""A client written from `docs/wire.md` alone, over TCP, without Hubbub's code and without a library."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import re
import struct
from collections.abc import Awaitable, Callable
from typing import Any

Json = dict[str, Any]

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
NEVER = {4400, 1002, 1003, 1007, 1009}
NEW_TOKEN = {4401, 4403}
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Refused(Exception):
    """The server answered the upgrade over HTTP. The argument is the status."""


class Closed(Exception):
    """The socket was closed, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket:
    """One WebSocket, from the upgrade to the close."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int, *headers: str) -> Socket:
        reader, writer = await asyncio.open_connection(host, port)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /ws HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *headers,
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split(" ", 2)[1])
        if status != 101:
            writer.close()
            raise Refused(status)
        accepted = base64.b64encode(hashlib.sha1(key.encode() + GUID.encode()).digest()).decode()
        assert f"sec-websocket-accept: {accepted}".lower() in head.lower()
        return cls(reader, writer)

    def send(self, type: str, data: Json, id: str | None = None) -> None:
        event = {"type": type, "data": data, "ts": 0} | ({} if id is None else {"id": id})
        self.send_frame(TEXT, json.dumps(event).encode())

    def send_frame(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0x80 | 126, length)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._writer.write(bytes([0x80 | opcode]) + size + mask + masked)

    async def receive(self) -> Json:
        """Return the next event. Answer pings and a close that arrive before it."""
        while True:
            opcode, payload = await self._frame()
            if opcode == TEXT:
                event: Json = json.loads(payload)
                return event
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                self.send_frame(CLOSE, payload[:2])
                await self._reader.read()  # the server closes the connection
                self._writer.close()
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())

    async def expect(self, type: str) -> Json:
        """Return the data of the next event of a type, and ignore others."""
        while (event := await self.receive())["type"] != type:
            pass
        data: Json = event["data"]
        return data

    def abandon(self) -> None:
        self._writer.close()

    async def _frame(self) -> tuple[int, bytes]:
        try:
            first, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack("!H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
            return first & 0x0F, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Closed(1006, "") from None


class Backoff:
    """The delay before the next attempt to connect."""

    def __init__(self) -> None:
        self._attempts = 0

    def delay(self, closed: Closed) -> float | None:
        """Return the seconds to wait, or None if the code forbids reconnecting or requires a new token first."""
        if closed.code in NEVER | NEW_TOKEN:
            return None
        demanded = re.search(r"retry_after_ms=(\d+)", closed.reason) if closed.code == 1012 else None
        required = min(int(demanded[1]), 300_000) / 1000 if demanded else 0.0
        jitter = random.uniform(0, min(20.0, 0.5 * 2**self._attempts))
        self._attempts += 1
        return required + jitter


async def listen(
    connect: Callable[[], Awaitable[Socket]], topics: list[Json], hear: Callable[[Json], None], backoff: Backoff
) -> Closed:
    """Stay connected and subscribed until a close code forbids reconnecting, and return that close."""
    while True:
        try:
            socket = await connect()
            while True:
                event = await socket.receive()
                hear(event)
                if event["type"] == "server.system.ready":
                    socket.send("client.system.subscribe", {"topics": topics})
        except Closed as error:
            closed = error
        except OSError:
            closed = Closed(1006, "")
        delay = backoff.delay(closed)
        if delay is None:
            return closed
        await asyncio.sleep(delay)
