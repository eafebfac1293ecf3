"""What every presence store promises, for one node and for many."""

from __future__ import annotations

import pytest

from hubbub.presence.tracker import Presence
from tests.presence.nodes import START, System


async def test_the_first_socket_anywhere_is_announced_once_and_everywhere(system: System) -> None:
    here, there = await system.node(), await system.node()
    watcher, other = await here.watch("alice"), await there.watch("alice")

    here.connect("alice")
    there.connect("alice")
    assert await watcher.statuses() == []  # before the tick
    await system.tick(5)

    assert await watcher.statuses() == ["online"]
    assert await other.statuses() == ["online"]


async def test_only_closing_the_last_socket_is_announced(system: System) -> None:
    nodes = [await system.node() for _ in range(3)]
    watcher = await nodes[0].watch("alice")
    for node in nodes:
        node.connect("alice")
    await system.tick()
    await watcher.statuses()

    nodes[0].disconnect("alice")
    nodes[1].disconnect("alice")
    await system.tick(20)
    assert await watcher.statuses() == []
    nodes[2].disconnect("alice")
    await system.tick(20)

    assert await watcher.changes() == [Presence("alice", "offline", START + 21)]


async def test_offline_is_announced_after_the_grace_period_and_not_before(system: System) -> None:
    node = await system.node()
    watcher = await node.watch("alice")
    node.connect("alice")
    await system.tick()
    await watcher.statuses()

    node.disconnect("alice")
    await system.tick(int(system.grace) - 1)
    assert await watcher.statuses() == []
    await system.tick()

    assert await watcher.statuses() == ["offline"]


async def test_a_user_who_leaves_is_reported_to_one_node_once(system: System) -> None:
    here, there = await system.node(), await system.node()
    here.connect("alice")
    there.connect("alice", "bob")
    await system.tick()

    here.disconnect("alice")
    await system.tick(2)
    there.disconnect("alice")
    await system.tick(10)

    reported = [seen for node in system.nodes for seen in node.left]
    assert reported == [{"alice": START + 3}]


async def test_a_reload_is_silent_even_when_it_reconnects_to_another_node(system: System) -> None:
    here, there = await system.node(), await system.node()
    watcher = await here.watch("alice")
    here.connect("alice")
    await system.tick()
    await watcher.statuses()

    here.disconnect("alice")
    await system.tick(2)
    system.clock.advance(0.99)  # the last moment of the three seconds
    there.connect("alice")
    await system.tick(20)

    assert await watcher.statuses() == []
    assert await here.status("alice") == "online"


async def test_a_transient_socket_between_two_ticks_is_never_announced(system: System) -> None:
    node = await system.node()
    watcher = await node.watch("alice")

    node.connect("alice")
    node.disconnect("alice")
    await system.tick(10)

    assert await watcher.statuses() == []


@pytest.mark.parametrize("at", [0, 1])
async def test_a_transient_socket_between_two_ticks_postpones_offline(system: System, at: int) -> None:
    nodes = [await system.node(), await system.node()]
    watcher = await nodes[0].watch("alice")
    nodes[0].connect("alice")
    await system.tick()
    nodes[0].disconnect("alice")
    await system.tick(2)

    nodes[at].connect("alice")
    nodes[at].disconnect("alice")
    await system.tick(int(system.grace) - 1)
    assert await watcher.statuses() == ["online"]
    await system.tick(2)

    assert await watcher.changes() == [Presence("alice", "offline", START + 3)]
    assert sum("alice" in seen for node in system.nodes for seen in node.left) == 1


async def test_a_user_without_activity_is_away_until_the_next_activity(system: System) -> None:
    node = await system.node()
    watcher = await node.watch("alice")
    node.connect("alice")
    await system.tick()
    system.clock.advance(297)

    await system.tick()
    assert await watcher.statuses() == ["online"]
    await system.tick()
    assert await watcher.changes() == [Presence("alice", "away", START)]
    assert node.presence.touch("alice")
    await system.tick()
    assert await watcher.statuses() == ["online"]


async def test_a_reload_does_not_count_as_activity_on_any_node(system: System) -> None:
    here, there = await system.node(), await system.node()
    watcher = await here.watch("alice")
    here.connect("alice")
    await system.tick()
    system.clock.advance(300)
    await system.tick()
    assert await watcher.statuses() == ["online", "away"]

    here.disconnect("alice")
    await system.tick()
    there.connect("alice")
    await system.tick(10)

    assert await watcher.statuses() == []
    assert await there.status("alice") == "away"


async def test_touching_a_user_without_a_socket_here_returns_false_and_changes_nothing(system: System) -> None:
    node = await system.node()

    assert not node.presence.touch("alice")
    await system.tick()

    assert await node.status("alice") == "offline"


async def test_snapshots_report_announced_statuses_in_the_requested_order(system: System) -> None:
    here, there = await system.node(), await system.node()
    here.connect("alice")
    await system.tick()
    here.connect("bob")  # not announced yet

    for node in (here, there):
        known = await node.presence.announced(["carol", "alice", "bob", "alice"])

        assert [(presence.user_id, presence.status) for presence in known] == [
            ("carol", "offline"),
            ("alice", "online"),
            ("bob", "offline"),
            ("alice", "online"),
        ]


async def test_a_watcher_misses_nothing_after_the_snapshot(system: System) -> None:
    here, there = await system.node(), await system.node()
    here.connect("alice")
    await system.tick()

    watcher = await there.watch("alice")
    assert [presence.status for presence in watcher.snapshot] == ["online"]
    here.disconnect("alice")
    await system.tick(10)

    assert await watcher.statuses() == ["offline"]


async def test_stopping_a_node_returns_when_its_users_were_last_seen(system: System) -> None:
    node = await system.node()
    node.connect("alice", "bob")
    await system.tick()
    node.disconnect("bob")
    await system.tick()

    seen = await node.presence.stop()

    assert seen == {"alice": START + 2, "bob": START + 1}
