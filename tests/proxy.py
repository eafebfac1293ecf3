"""A TCP proxy in front of a Redis server that simulates network failures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

import hiredis

PUSHES = (b"message", b"smessage")


class Proxy:
    """A proxy that forwards until a method breaks the connection."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.drops_pushes = False
        """Whether published messages are dropped, though every command is answered."""
        self.claims_version = b""
        """The server version to report in place of the real one; empty for the real one."""
        self.connections = 0
        """The number of connections accepted so far."""
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, port: int, host: str = "127.0.0.1") -> AsyncIterator[Self]:
        """Run a proxy in front of a port."""
        proxy = cls(host, port)
        await proxy.restore()
        try:
            yield proxy
        finally:
            await proxy.cut()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def cut(self) -> None:
        """End every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.interrupt()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def interrupt(self) -> None:
        """End every connection, but accept new ones."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def restore(self) -> None:
        """Forward everything again, on the same port."""
        self._flows.set()
        self.drops_pushes = False
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def redirect_to(self, port: int) -> None:
        """Connect to another server from now on; open connections stay."""
        self._target = self._target[0], port

    def hold(self) -> None:
        """Stop forwarding but keep the connections open, like a server that hangs or an unplugged cable."""
        self._flows.clear()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted while `cut` was running
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(*self._target)
            self._writers.add(upstream)
            tasks = [
                asyncio.create_task(self._forward(reader, upstream)),
                asyncio.create_task(self._forward_answers(answers, writer)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        except OSError:
            pass
        finally:
            for one in (writer, upstream):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()

    async def _forward_answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                parser.feed(data)
                kept = b""
                while (answer := parser.gets()) is not False:
                    if self.drops_pushes and isinstance(answer, list) and answer[0] in PUSHES:
                        continue
                    if self.claims_version and isinstance(answer, list) and b"version" in answer:
                        answer[answer.index(b"version") + 1] = self.claims_version
                    kept += _written(answer)
                writer.write(kept if self.drops_pushes or self.claims_version else data)
                await writer.drain()


def _written(answer: object) -> bytes:
    """Return a response as the bytes that the server sent."""
    match answer:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % answer
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(answer), answer)
        case list():
            return b"*%d\r\n" % len(answer) + b"".join(map(_written, answer))
        case Exception():
            return b"-%b\r\n" % str(answer).encode()
    raise TypeError(type(answer))
