"""A crowd of sockets in its own process: `python -m tests.hostile.crowd PORT`.

It reads commands from standard input, one per line, and answers each with a line of JSON:

    open COUNT PREFIX   open COUNT sockets, each of its own user, subscribed to `conversation:crowd`
    freeze              stop reading on all of them
    count               return how many messages have arrived since the last report
    report              return what has arrived since the last report, and how many sockets are still open
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import sys
import time
from collections import Counter
from typing import Any, cast

import uvloop

from tests.websocket import frame

AT_ONCE = 64
RECEIVE_BUFFER = 16 * 1024  # bytes: what the kernel keeps for a socket that does not read
MARK = b'"messageId":"'
SUBSCRIBE = json.dumps(
    {"type": "client.system.subscribe", "data": {"topics": [{"kind": "conversation", "id": "crowd"}]}, "ts": 1}
).encode()


class Member(asyncio.Protocol):
    """One socket: answers pings, and reports to the crowd what it receives."""

    def __init__(self, crowd: Crowd, user: str) -> None:
        self.crowd = crowd
        self.user = user
        self.unread = b""
        self.is_open = False
        self.subscribed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{self.crowd.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: {self.user}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.unread += data
        if not self.is_open:
            head, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self.is_open, self.unread = True, rest
            self.transport.write(frame(1, SUBSCRIBE))
        while (parsed := next_frame(self.unread)) is not None:
            opcode, payload, self.unread = parsed
            self.handle_frame(opcode, payload)

    def handle_frame(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.transport.write(frame(10, payload))
        elif opcode == 8:
            self.crowd.closes[int.from_bytes(payload[:2])] += 1
        elif (at := payload.find(MARK)) >= 0:
            published = int(payload[at + len(MARK) : payload.index(b'"', at + len(MARK))])
            self.crowd.latencies.append((time.monotonic_ns() - published) / 1e9)
        elif b"server.system.subscribed" in payload:
            self.subscribed.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self.crowd.members.discard(self)
        if not self.subscribed.done():
            self.subscribed.set_exception(error or ConnectionResetError("closed before it was subscribed"))


def next_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Split off one unmasked frame: return its opcode, its payload, and the rest; None if it is incomplete."""
    if len(data) < 2:
        return None
    length, start = data[1] & 0x7F, 2
    if length == 126:
        if len(data) < 4:
            return None
        (length,), start = struct.unpack("!H", data[2:4]), 4
    if len(data) < start + length:
        return None
    return data[0] & 0x0F, data[start : start + length], data[start + length :]


class Crowd:
    """All sockets of this process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.members: set[Member] = set()
        self.latencies: list[float] = []
        self.closes: Counter[int] = Counter()

    async def open(self, count: str, prefix: str) -> dict[str, Any]:
        free = asyncio.Semaphore(AT_ONCE)

        async def open_one(number: int) -> None:
            async with free:
                sock = socket.socket()
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(sock, ("127.0.0.1", self.port))
                member = Member(self, f"{prefix}{number}")
                await loop.create_connection(lambda: member, sock=sock)
                self.members.add(member)
                await member.subscribed

        await asyncio.gather(*map(open_one, range(int(count))))
        return {"open": len(self.members)}

    async def freeze(self) -> dict[str, Any]:
        for member in self.members:
            member.transport.pause_reading()
        return {"frozen": len(self.members)}

    async def count(self) -> dict[str, Any]:
        return {"received": len(self.latencies)}

    async def report(self) -> dict[str, Any]:
        latencies, self.latencies = sorted(self.latencies), []
        return {
            "open": len(self.members),
            "received": len(latencies),
            "p50": latencies[len(latencies) // 2] if latencies else 0.0,
            "p99": latencies[int(len(latencies) * 0.99)] if latencies else 0.0,
            "closes": self.closes,
        }


async def main(port: int) -> None:
    crowd = Crowd(port)
    commands = {"open": crowd.open, "freeze": crowd.freeze, "count": crowd.count, "report": crowd.report}
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, *arguments = line.decode().split()
        answer = await commands[name](*arguments)  # type: ignore[operator]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
