"""A client that stops reading is closed with 4413. Its resources are freed, and other clients are not affected."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import NamedTuple

import pytest

from hubbub import Limits, MessageNew, notify
from tests.hostile.load import Crowd, Server, Tell, affordable
from tests.support import make_gateway, running
from tests.websocket import upgrade

DEADLINE_SECONDS = 45.0
GROWTH_BYTES = 100 * 1024 * 1024
LATENCY_GROWTH = 1.10

TURNS = 20
"""Events between two requests for the figures of the server."""


class Outcome(NamedTuple):
    """When the slow clients were closed, and the latency of the others before and during that time."""

    gone_seconds: float
    growth: int
    before: float
    during: float


async def stop_reading(slow: int, others: int, *, size: int, interval: float, seconds: float, tell: Tell) -> Outcome:
    """Make `slow` of `slow + others` subscribers stop reading during steady events; assert that only those close."""
    rounds = round(seconds / interval / TURNS)
    async with (
        Server.start() as server,
        Crowd.gather(server, others, "reader") as readers,
        Crowd.gather(server, slow, "frozen") as frozen,
    ):
        for _ in range(rounds):
            await server.publish(turns=TURNS, interval=interval, size=size)
            await server.inside()  # as below: the request itself costs the server time
        healthy = await readers.receive(rounds * TURNS * others, 10)
        assert healthy["received"] == rounds * TURNS * others
        full = await server.inside()

        await frozen.ask("freeze")
        began = time.monotonic()
        gone, heaviest = 0.0, full["resident"]
        published = 0
        while time.monotonic() - began < seconds or not gone:
            await server.publish(turns=TURNS, interval=interval, size=size)
            published += TURNS
            now = await server.inside()
            heaviest = max(heaviest, now["resident"])
            if now["sockets"] == others and not gone:
                gone = time.monotonic() - began
            assert gone or time.monotonic() - began < DEADLINE_SECONDS, now
        during = await readers.receive(published * others, 10)
        empty, _ = await server.until(10, open_count=others)

    assert (during["open"], during["received"]) == (others, published * others)
    assert empty["closes"] == {"4413": slow}
    assert empty["descriptors"] == full["descriptors"] - slow
    tell(
        f"{slow} of {slow + others} stopped reading: closed after {gone:.1f} s, memory grew by "
        f"{(heaviest - full['resident']) / 2**20:.0f} MiB, p99 of the others {healthy['p99'] * 1e3:.1f} ms before and "
        f"{during['p99'] * 1e3:.1f} ms during that"
    )
    return Outcome(gone, heaviest - full["resident"], healthy["p99"], during["p99"])


async def test_the_kernel_buffers_little_for_a_slow_consumer(tell: Tell) -> None:
    limit = Limits().unsent_bytes
    gateway = make_gateway(flush_interval=0.0)
    async with running(gateway) as server:
        with contextlib.closing(socket.socket()) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            slow.setblocking(False)
            await asyncio.get_running_loop().sock_connect(slow, (server.host, server.port))
            slow.send(upgrade(server, "Authorization: slow"))
            sent = 0
            while not gateway.stats.closes[4413]:
                if gateway.stats.connects:
                    notify(MessageNew("c", "m", "slow", "x" * 10_000))  # delivered to the sender itself
                    sent += 10_000
                await asyncio.sleep(0)
            tell(f"closed after {sent // 1024} KiB, of which {limit // 1024} may wait")

    assert limit < sent < 4 * limit


async def test_slow_consumers_are_closed_and_others_receive_everything(tell: Tell) -> None:
    outcome = await stop_reading(20, 80, size=4000, interval=0.01, seconds=2, tell=tell)

    assert outcome.growth <= GROWTH_BYTES


@pytest.mark.soak
async def test_a_fifth_of_a_thousand_stops_reading_for_a_minute(tell: Tell) -> None:
    sockets = affordable(1000, tell)

    outcome = await stop_reading(sockets // 5, sockets * 4 // 5, size=1000, interval=0.05, seconds=60, tell=tell)

    assert outcome.growth <= GROWTH_BYTES
    assert outcome.during <= outcome.before * LATENCY_GROWTH
