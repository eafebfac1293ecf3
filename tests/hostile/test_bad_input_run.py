"""All bad input in random order, for a while: the process survives, and other clients are not affected."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.hostile.load import Server, Tell
from tests.hostile.test_bad_input import MALFORMED, PROTOCOL_FAULTS
from tests.support import Client
from tests.websocket import RawSocket, frame, upgrade

TEXT, CLOSE, PING, PONG, CONTINUATION = 1, 8, 9, 10, 0

ATTACKERS = 8
HEARTBEAT_SECONDS = 1.0
LAG_SECONDS = 0.05
GROWTH_BYTES = 8 * 1024 * 1024  # allocators keep this much; in a soak test, a leak of 100 bytes per attack exceeds it

Attack = Callable[[Server, str], Awaitable[object]]


def sending(data: bytes, *codes: int) -> Attack:
    """Return an attack that sends these bytes, and expects one of these close codes."""

    async def attack(server: Server, user: str) -> None:
        async with RawSocket.open(server.address, user) as raw:
            await raw.write(data)
            assert await raw.close_code() in codes, data[:100]

    return attack


def requesting(expected: bytes, *headers: str, **options: str) -> Attack:
    """Return an attack that requests an upgrade, and expects this status."""

    async def attack(server: Server, user: str) -> None:
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(upgrade(server.address, *headers, **options))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 " + expected)
        writer.close()

    return attack


async def abort(server: Server, user: str) -> None:
    """Abort the connection in the middle of a frame."""
    async with RawSocket.open(server.address, user) as raw:
        await raw.write(frame(TEXT, b"x" * 1000)[:500])
        raw.writer.transport.abort()


async def no_token(server: Server, user: str) -> None:
    async with RawSocket.upgraded(server.address) as raw:
        assert await raw.close_code() == 4401


async def many_sockets(server: Server, user: str) -> None:
    async with contextlib.AsyncExitStack() as opened:
        for _ in range(10):
            await opened.enter_async_context(RawSocket.open(server.address, user))
        async with RawSocket.open(server.address, user) as raw:
            assert await raw.close_code() == 4429


async def half_a_request(server: Server, user: str) -> None:
    _, writer = await asyncio.open_connection(server.address.host, server.address.port)
    writer.write(upgrade(server.address)[:100])
    await writer.drain()
    writer.transport.abort()


UNKNOWN = frame(TEXT, b'{"type":"client.x.y","data":{},"ts":1}')

ATTACKS: dict[str, Attack] = {
    **{name: sending(frame(TEXT, text.encode()), 4400) for name, text in MALFORMED.items()},
    **{name: sending(data, code) for name, (code, data) in PROTOCOL_FAULTS.items()},
    "too many events": sending(UNKNOWN * 300, 4429),
    "too many pings": sending(frame(PING, b"x" * 125) * 2000, 4429),
    "too many pongs": sending(frame(PONG, b"") * 20_000, 4429),
    "empty fragments": sending(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 20_000, 1009),
    "half a frame and silence": sending(frame(TEXT, b"x" * 1000)[:500], 4408),
    "no pongs": sending(b"", 4408),
    "too many sockets": many_sockets,
    "no token": no_token,
    "a broken connection": abort,
    "half a request": half_a_request,
    "a POST": requesting(b"405", method="POST"),
    "version 8": requesting(b"400", version="8"),
    "a foreign origin": requesting(b"403", "Origin: https://evil.example"),
    "two hosts": requesting(b"400", "Host: other.example"),
}


async def run(seconds: float, tell: Tell) -> tuple[int, float]:
    """Attack for so many seconds. Return the growth of the server in bytes, and the p99 of its loop lag."""
    seed = int(os.environ.get("HOSTILE_SEED", random.randrange(1 << 32)))
    dice = random.Random(seed)
    done: Counter[str] = Counter()

    async def attack_until(deadline: float, server: Server, user: str) -> None:
        while time.monotonic() < deadline:
            name = dice.choice(list(ATTACKS))
            try:
                # A client that is closed while it still writes may see a reset instead of the close frame.
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    await asyncio.wait_for(ATTACKS[name](server, user), 30)
            except Exception as error:
                raise AssertionError(f"{name}, HOSTILE_SEED={seed}") from error
            done[name] += 1

    async with (
        Server.start(heartbeat_interval=HEARTBEAT_SECONDS) as server,
        Client.open(server.address, "bystander") as bystander,
    ):
        users = [f"mallory-{number}" for number in range(ATTACKERS)]
        for name, attack in ATTACKS.items():  # each attack once: a one-time allocation is not growth
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await asyncio.wait_for(attack(server, f"warm-{name}"), 30)
        before, _ = await server.until(30, open_count=1)
        before = await server.inside(collect=True)
        await server.inside()

        await asyncio.gather(*[attack_until(time.monotonic() + seconds, server, user) for user in users])

        during = await server.inside()
        await server.until(30, open_count=1, sockets=1, users=1, topics=0, heartbeats=1, tasks=0)
        after = await server.inside(collect=True)
        heard = await bystander.heard()
        assert {event["type"] for event in heard} <= {"server.presence.update"}  # about the bystander itself
        assert after["descriptors"] <= before["descriptors"]
        assert after["faults"] == 0
    growth = after["resident"] - before["resident"]
    tell(
        f"{done.total()} attacks of {len(done)} kinds in {seconds:g} s: the loop was late by "
        f"{during['lag_p99'] * 1e3:.1f} ms (p99) and {during['lag_max'] * 1e3:.1f} ms at most, "
        f"memory grew by {growth / 1024:.0f} KiB"
    )
    return growth, during["lag_p99"]


async def test_all_bad_input_in_random_order_leaves_nothing_behind(tell: Tell) -> None:
    await run(3, tell)


@pytest.mark.soak
async def test_ten_minutes_of_all_bad_input(tell: Tell) -> None:
    growth, lag = await run(600, tell)

    assert growth <= GROWTH_BYTES
    assert lag <= LAG_SECONDS
