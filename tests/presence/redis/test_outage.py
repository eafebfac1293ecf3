"""Users connect while Redis is unreachable: they are admitted, get a resync, and the log stays short."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from hubbub import Unavailable
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.clock import SystemClock
from hubbub.metrics.stats import Stats
from hubbub.presence.redis.presence import RedisPresence
from hubbub.redis.shard import Timing
from hubbub.testing import Address
from tests.cluster.nodes import ClientWithoutPresence
from tests.proxy import Proxy
from tests.support import make_gateway, running

SUBSCRIBERS = 20


@pytest.fixture
async def proxy(valkey: str) -> AsyncIterator[Proxy]:
    async with Proxy.to(int(valkey.rpartition(":")[2])) as proxy:
        yield proxy


async def test_every_subscriber_gets_a_resync_and_the_log_gets_one_line(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    stats, clock = Stats(), SystemClock()
    # The tick is long, so that none happens during the test and logs another line.
    times = {"away_after": 300.0, "offline_after": 3.0, "tick": 60.0}
    gateway = make_gateway(
        broker=RedisBroker(proxy.url, stats=stats, prefix="outage", timing=Timing(probe=0.1, silence=0.5)),
        presence=RedisPresence(proxy.url, clock=clock, stats=stats, prefix="outage", **times),
        clock=clock,
        presence_tick=60,
    )
    async with AsyncExitStack() as stack:
        address: Address = await stack.enter_async_context(running(gateway))
        sockets = [
            await stack.enter_async_context(ClientWithoutPresence.open(address, f"u{n}")) for n in range(SUBSCRIBERS)
        ]
        await proxy.cut()
        await until(lambda: not gateway.ready)
        caplog.clear()

        for socket in sockets:
            await socket.subscribe("user:alice")
            assert await socket.expect("server.system.resync") == {"topics": [{"kind": "user", "id": "alice"}]}
        with pytest.raises(Unavailable, match="presence"):
            await gateway.presence(["alice"])
        during = [record for record in caplog.records if record.name in ("hubbub.presence", "hubbub.system")]
        await proxy.restore()
        await until(lambda: gateway.ready)
        for socket in sockets:  # what they received during the outage may be outdated
            await socket.expect("server.system.resync")
        states = await gateway.presence(["alice"])

    assert [record.exc_info for record in during if record.exc_info] == []
    assert [record.levelno for record in during] == [logging.WARNING]
    assert stats.errors["presence_unread"] == SUBSCRIBERS + 1
    assert [state.status for state in states] == ["offline"]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
