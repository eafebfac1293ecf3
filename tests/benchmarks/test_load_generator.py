"""The benchmark's load generator, in C, against a server of the `websockets` library: it must miss nothing."""

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
from benchmarks.speech import Speech

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator is compiled with cc")


class Everything(Speech):
    """Reads latency from the messages below."""

    ready = "hello"
    event = "event"


class Lines(Everything):
    """Takes every line for a message, and answers pings of the protocol's own."""

    ping, pong = "{}", "{}"
    joins_by_line = True


def event(age: float = 0.0) -> str:
    """Gives an event that was due so many seconds ago."""
    stamp = time.monotonic_ns() - int(age * 1e9)
    return f'{{"type":"event","messageId":"{stamp:021d}","more":"{"x" * 300}"}}'


def frame(text: str) -> bytes:
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


@asynccontextmanager
async def connected(speech: Speech) -> AsyncIterator[tuple[Client, ServerConnection, asyncio.Queue[str]]]:
    """Gives the load generator, its one connection as the server sees it, and what it says there."""
    met: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
    said: asyncio.Queue[str] = asyncio.Queue()

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        met.set_result(connection)
        with contextlib.suppress(ConnectionClosed):  # the load generator ends without a close frame
            while True:
                said.put_nowait(str(await connection.recv()))

    async with serve(greet, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with Client("test-load-generator", port, speech, Layout(1), post_port=port) as client:
            await asyncio.to_thread(client.connect, 1, speech.ready)
            yield client, await met, said


@pytest.mark.parametrize("speech", [Everything(), Lines()], ids=["frames", "lines"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 300, 100_000])
async def test_frames_are_counted_in_whatever_pieces_they_come(speech: Speech, size: int) -> None:
    events = b"".join(frame(event()) for _ in range(5))

    async with connected(speech) as (client, connection, _):
        await asyncio.to_thread(client.expect, 5, speech.event, 5)
        for start in range(0, len(events), size):
            connection.transport.write(events[start : start + size])
            await asyncio.sleep(0)
        account = await asyncio.to_thread(client.arrived)

    assert (account["messages"], account["fewest"], account["most"]) == (5, 5, 5)
    assert 0 < account["latency"]["p50"] < 5000


async def test_every_line_of_a_message_counts_where_a_server_joins_them() -> None:
    speech = Lines()
    async with connected(speech) as (client, connection, said):
        await asyncio.to_thread(client.expect, 3, speech.event, 5)
        await connection.send(f"{event()}\n{{}}\n{event()}")
        await connection.send(event())
        account = await asyncio.to_thread(client.arrived)
        pong = await said.get()

    assert account["messages"] == 3
    assert pong == "{}"


async def test_latency_is_the_time_since_the_stamp() -> None:
    speech = Everything()
    async with connected(speech) as (client, connection, _):
        await asyncio.to_thread(client.expect, 1, speech.event, 5)
        await connection.send(event(age=10))
        account = await asyncio.to_thread(client.arrived)

    assert account["latency"]["p50"] == pytest.approx(10_000, rel=0.1)


async def test_a_stamp_of_the_future_is_a_failure() -> None:
    speech = Everything()
    async with connected(speech) as (client, connection, _):
        await asyncio.to_thread(client.expect, 1, speech.event, 5)
        await connection.send(event(age=-10))
        with pytest.raises(BenchmarkError, match="of the future"):
            await asyncio.to_thread(client.arrived)
