"""Only the heartbeat finds sockets whose peers have vanished. Presence follows."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.hostile.load import Crowd, Server, Tell, affordable

OFFLINE_SECONDS = 3.0 + 1.0 + 1.0  # the grace period, a presence tick, and a margin for a busy machine


async def freeze(dead: int, alive: int, *, interval: float, tell: Tell) -> None:
    """Freeze `dead` of `dead + alive` sockets (they stop reading and sending), and assert that only those close."""
    async with (
        Server.start(heartbeat_interval=interval) as server,
        Crowd.gather(server, alive, "alive") as crowd,
        Crowd.gather(server, dead, "dead") as silent,
    ):
        full = await server.inside()
        assert (full["sockets"], full["users"]) == (dead + alive, dead + alive)
        await silent.ask("freeze")

        gone, seconds = await server.until(3 * interval + 1, sockets=alive)
        assert gone["closes"] == {"4408": dead}
        empty, _ = await server.until(10, open_count=alive)
        began = time.monotonic()
        while (await server.presence("dead", dead))["offline"] < dead:
            assert time.monotonic() - began < OFFLINE_SECONDS
            await asyncio.sleep(0.1)
        assert await server.presence("alive", alive) == {"online": alive, "away": 0, "offline": 0}
        assert (await crowd.ask("report"))["open"] == alive
        assert empty["descriptors"] == full["descriptors"] - dead
        assert (empty["users"], empty["heartbeats"], empty["tasks"]) == (alive, alive, 0)
    tell(f"{dead} dead peers of {dead + alive} were gone after {seconds:.1f} s, with a ping every {interval:g} s")


async def test_only_dead_peers_are_closed_after_three_intervals(tell: Tell) -> None:
    await freeze(200, 50, interval=1.0, tell=tell)


@pytest.mark.soak
async def test_a_thousand_dead_peers_are_closed_within_75_seconds(tell: Tell) -> None:
    await freeze(affordable(1000, tell), 200, interval=25.0, tell=tell)
