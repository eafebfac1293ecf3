"""Presence over real sockets: announced on ticks, silent on reloads, with a snapshot on subscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from hubbub import Gateway, Limits, PresenceState
from hubbub.testing import ManualClock
from tests.support import Client, Json, make_gateway, running, types


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start=datetime(2026, 1, 1, tzinfo=UTC).timestamp())


@pytest.fixture
def gateway(clock: ManualClock) -> Gateway:
    return make_gateway(clock=clock)


async def updates(client: Client) -> list[Json]:
    """Return the presence updates received so far, without those about the client itself."""
    return [event["data"] for event in await client.heard() if event["type"] == "server.presence.update"]


async def until_left(gateway: Gateway, count: int) -> None:
    """Wait until this many sockets are registered."""
    while gateway.load.sockets != count:
        await asyncio.sleep(0)


async def test_online_is_announced_on_the_first_socket_only(gateway: Gateway, clock: ManualClock) -> None:
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        assert await bob.expect("server.presence.batch") == {"users": [{"userId": "alice", "status": "offline"}]}
        clock.advance(1)
        await bob.expect("server.presence.update")  # about bob himself

        async with Client.open(server, "alice"), Client.open(server, "alice"):
            assert await updates(bob) == []  # before the tick
            clock.advance(1)
            assert await updates(bob) == [{"userId": "alice", "status": "online"}]
            clock.advance(5)
            assert await updates(bob) == []


async def test_closing_one_of_two_sockets_is_silent_and_closing_the_last_is_not(
    gateway: Gateway, clock: ManualClock
) -> None:
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        async with Client.open(server, "alice"):
            async with Client.open(server, "alice"):
                clock.advance(1)
                await bob.heard()
            await until_left(gateway, 2)
            clock.advance(10)
            assert await updates(bob) == []
        await until_left(gateway, 1)
        clock.advance(2)
        assert await updates(bob) == []
        clock.advance(2)

        assert await updates(bob) == [
            {"userId": "alice", "status": "offline", "lastSeenAt": "2026-01-01T00:00:11.000Z"},
        ]


async def test_a_quick_reload_is_silent(gateway: Gateway, clock: ManualClock) -> None:
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        async with Client.open(server, "alice"):
            clock.advance(1)
            await bob.heard()
        await until_left(gateway, 1)
        clock.advance(2)
        async with Client.open(server, "alice"):
            clock.advance(10)

            assert await updates(bob) == []


async def test_only_activity_ends_away(gateway: Gateway, clock: ManualClock) -> None:
    async with (
        running(gateway) as server,
        Client.open(server, "bob", "user:alice") as bob,
        Client.open(server, "alice", "conversation:c1") as alice,
    ):
        for _ in range(299):
            clock.advance(1)
            await alice.heard()  # pings, pongs and unknown events are not activity
        await bob.heard()
        clock.advance(1)
        assert await updates(bob) == [
            {"userId": user_id, "status": "away", "lastSeenAt": "2026-01-01T00:00:00.000Z"}
            for user_id in ("bob", "alice")
        ]
        await alice.heard()
        await alice.subscribe("conversation:c1")
        clock.advance(1)
        assert await updates(bob) == []

        await alice.typing("c1")
        await alice.heard()
        clock.advance(1)
        assert await updates(bob) == [{"userId": "alice", "status": "online"}]

        gateway.touch("bob")
        clock.advance(1)
        assert await updates(bob) == [{"userId": "bob", "status": "online"}]


async def test_a_snapshot_reports_what_was_announced_and_only_new_topics(gateway: Gateway, clock: ManualClock) -> None:
    async with running(gateway) as server, Client.open(server, "alice"), Client.open(server, "bob") as bob:
        clock.advance(1)
        await bob.heard()
        async with Client.open(server, "carol"):  # connected, not announced
            await bob.subscribe("user:alice", "user:carol", "user:dave")
            assert await bob.expect("server.presence.batch") == {
                "users": [
                    {"userId": "alice", "status": "online"},
                    {"userId": "carol", "status": "offline"},
                    {"userId": "dave", "status": "offline"},
                ]
            }
            await bob.subscribe("user:alice", "user:carol", "user:dave")
            assert await bob.heard() == []
            await bob.subscribe("user:alice", "conversation:c1")
            assert await bob.heard() == []
            await bob.subscribe("user:dave", "user:alice")
            assert await bob.expect("server.presence.batch") == {"users": [{"userId": "dave", "status": "offline"}]}
            assert [state.status for state in await gateway.presence(["alice", "carol"])] == ["online", "offline"]
            assert await gateway.presence(["dave"]) == [PresenceState("dave", "offline", None)]


async def test_only_watchers_and_the_user_receive_an_update(gateway: Gateway, clock: ManualClock) -> None:
    async with running(gateway) as server, Client.open(server, "alice") as alice, Client.open(server, "bob") as bob:
        clock.advance(1)

        assert [event["data"]["userId"] for event in await alice.heard()] == ["alice"]
        assert [event["data"]["userId"] for event in await bob.heard()] == ["bob"]


async def test_when_users_were_last_seen_is_stored_when_they_leave_and_at_the_end(clock: ManualClock) -> None:
    stored: list[dict[str, datetime]] = []

    async def store(seen: Mapping[str, datetime]) -> None:
        stored.append(dict(seen))

    gateway = make_gateway(clock=clock, on_last_seen=store)
    async with running(gateway) as server, Client.open(server, "bob") as bob:
        async with Client.open(server, "alice"):
            clock.advance(1)
        await until_left(gateway, 1)
        clock.advance(4)
        await bob.heard()
        assert stored == [{"alice": datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)}]
    assert stored[1:] == [{"bob": datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)}]


async def test_a_failing_last_seen_hook_is_counted_and_affects_nothing_else(clock: ManualClock) -> None:
    async def fail(seen: Mapping[str, datetime]) -> None:
        raise RuntimeError("no database")

    gateway = make_gateway(clock=clock, on_last_seen=fail)
    async with running(gateway) as server, Client.open(server, "bob") as bob:
        clock.advance(1)
        assert types(await bob.heard()) == ["server.presence.update"]
    assert gateway.stats.errors["on_last_seen"] == 1


async def test_a_last_seen_hook_that_hangs_at_shutdown_times_out_with_a_log_line(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(seen: Mapping[str, datetime]) -> None:
        await asyncio.sleep(3600)

    gateway = make_gateway(clock=clock, on_last_seen=hang, limits=Limits(handler_seconds=0.05))
    async with running(gateway) as server, Client.open(server, "bob"):
        await gateway.stop()

    assert gateway.stats.errors["on_last_seen"] == 1
    assert "on_last_seen took over 0.05 s" in caplog.text


async def test_setting_the_clock_changes_no_status(clock: ManualClock) -> None:
    gateway = make_gateway(clock=clock)
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        async with Client.open(server, "alice"):
            clock.advance(1)
            await bob.heard()
            clock.set(-3600)
            clock.advance(1)
            assert await updates(bob) == []
        await until_left(gateway, 1)
        clock.advance(4)

        assert await updates(bob) == [
            {"userId": "alice", "status": "offline", "lastSeenAt": "2025-12-31T23:00:02.000Z"},
        ]


async def test_a_drain_is_silent(gateway: Gateway, clock: ManualClock) -> None:
    async with running(gateway) as server, Client.open(server, "bob", "user:alice") as bob:
        async with Client.open(server, "alice"):
            clock.advance(1)
            await bob.heard()
        await until_left(gateway, 1)
        assert gateway.admission is not None
        gateway.admission.accepting = False
        clock.advance(10)

        assert await updates(bob) == []


async def test_many_changes_at_once_are_announced_to_all(gateway: Gateway, clock: ManualClock) -> None:
    names = [f"user{number}" for number in range(600)]
    async with running(gateway) as server, Client.open(server, "bob", *[f"user:{name}" for name in names[:500]]) as bob:
        assert gateway.admission is not None
        for name in names:
            gateway.admission.services.presence.connect(name)
        clock.advance(1)
        seen: set[str] = set()
        while not seen.issuperset(names[:500]):
            seen |= {update["userId"] for update in await updates(bob)}
