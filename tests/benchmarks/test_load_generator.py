"""The benchmark's load generator, in C, against a server of the `websockets` library: it must count every message."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from benchmarks.client import Client
from benchmarks.layout import Layout
from benchmarks.process import BenchmarkError
from benchmarks.protocols import ClientProtocol

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator is compiled with cc")


class Frames(ClientProtocol):
    """The protocol below, with one message per frame."""

    ready = "hello"
    event = "event"


class Lines(Frames):
    """The same protocol, with one message per line and its own pings."""

    ping, pong = "{}", "{}"
    joins_by_line = True


def event(age: float = 0.0) -> str:
    """Return an event that was due `age` seconds ago."""
    timestamp = time.monotonic_ns() - int(age * 1e9)
    return f'{{"type":"event","messageId":"{timestamp:021d}","more":"{"x" * 300}"}}'


def frame(text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


@asynccontextmanager
async def connected(protocol: ClientProtocol) -> AsyncIterator[tuple[Client, ServerConnection, asyncio.Queue[str]]]:
    """Yield the load generator, its only connection on the server, and the messages that this connection receives."""
    accepted: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
    received: asyncio.Queue[str] = asyncio.Queue()

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        accepted.set_result(connection)
        with contextlib.suppress(ConnectionClosed):  # the load generator ends without a close frame
            while True:
                received.put_nowait(str(await connection.recv()))

    async with serve(greet, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with Client("test-load-generator", port, protocol, Layout(1), post_port=port) as client:
            await asyncio.to_thread(client.connect, 1, protocol.ready)
            yield client, await accepted, received


@pytest.mark.parametrize("protocol", [Frames(), Lines()], ids=["frames", "lines"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 300, 100_000])
async def test_frames_are_counted_in_pieces_of_any_size(protocol: ClientProtocol, size: int) -> None:
    events = b"".join(frame(event()) for _ in range(5))

    async with connected(protocol) as (client, connection, _):
        await asyncio.to_thread(client.expect, 5, protocol.event, 5)
        for start in range(0, len(events), size):
            connection.transport.write(events[start : start + size])
            await asyncio.sleep(0)
        report = await asyncio.to_thread(client.wait_for_expected)

    assert (report["messages"], report["min_messages"], report["max_messages"]) == (5, 5, 5)
    assert 0 < report["latency"]["p50"] < 5000


async def test_every_line_of_a_message_counts_if_the_server_joins_them() -> None:
    protocol = Lines()
    async with connected(protocol) as (client, connection, received):
        await asyncio.to_thread(client.expect, 3, protocol.event, 5)
        await connection.send(f"{event()}\n{{}}\n{event()}")
        await connection.send(event())
        report = await asyncio.to_thread(client.wait_for_expected)
        pong = await received.get()

    assert report["messages"] == 3
    assert pong == "{}"


async def test_latency_is_the_time_since_the_timestamp() -> None:
    protocol = Frames()
    async with connected(protocol) as (client, connection, _):
        await asyncio.to_thread(client.expect, 1, protocol.event, 5)
        await connection.send(event(age=10))
        report = await asyncio.to_thread(client.wait_for_expected)

    assert report["latency"]["p50"] == pytest.approx(10_000, rel=0.1)


async def test_a_timestamp_in_the_future_is_a_failure() -> None:
    protocol = Frames()
    async with connected(protocol) as (client, connection, _):
        await asyncio.to_thread(client.expect, 1, protocol.event, 5)
        await connection.send(event(age=-10))
        with pytest.raises(BenchmarkError, match="in the future"):
            await asyncio.to_thread(client.wait_for_expected)
