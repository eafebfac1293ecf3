"""A node replays the commands that it missed during a gap: each once, and none from before the gap."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hubbub.brokers.base import Publication
from hubbub.brokers.redis.command_log import MAX_ENTRIES, ReplayPosition, parse_entries
from hubbub.outcome import Outcome
from tests.brokers.nodes import MakeNode, Node, redis_nodes
from tests.proxy import Proxy

REPLAYABLE = "hubbub.command"


def command(number: int, type: str = REPLAYABLE) -> Publication:
    return Publication(type, b"", (), ("alice",), metadata=b"%d" % number)


def commands(node: Node) -> list[int]:
    return [int(publication.metadata) for publication, _ in node.arrived]


@pytest.fixture
async def proxy(valkey: str) -> AsyncIterator[Proxy]:
    async with Proxy.to(int(valkey.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def make(valkey: str) -> AsyncIterator[MakeNode]:
    async with redis_nodes(valkey, replayable=[REPLAYABLE]) as make:
        yield make


async def broadcast(here: Node, number: int) -> None:
    assert await here.broker.publish_and_wait(command(number)) is Outcome.ACCEPTED


async def test_a_node_that_was_cut_off_replays_missed_commands_once(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await there.socket("alice")
    await broadcast(here, 1)
    await there.until(lambda: commands(there) == [1])

    for missed in (2, 3):
        await proxy.cut()
        await there.until_ready(False)
        await broadcast(here, missed)
        await here.broker.publish_and_wait(command(99, "hubbub.mention"))
        await proxy.restore()
        await there.until(lambda missed=missed: missed in commands(there))  # type: ignore[misc]
    await broadcast(here, 4)
    await there.until(lambda: 4 in commands(there))

    assert commands(there) == [1, 2, 3, 4]


async def test_a_node_also_replays_commands_for_users_it_had_no_subscription_for(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await proxy.cut()
    await there.until_ready(False)
    there.broker.subscribe(["alice"])
    await broadcast(here, 1)
    await proxy.restore()

    await there.until(lambda: commands(there) == [1])


async def test_a_node_does_not_replay_its_own_commands(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await broadcast(there, 1)
    await proxy.cut()
    await there.until_ready(False)
    await broadcast(here, 2)
    await proxy.restore()
    await there.until(lambda: bool(commands(there)))

    assert commands(there) == [2]


async def test_a_new_node_does_not_replay_older_commands(make: MakeNode) -> None:
    here = await make()
    await broadcast(here, 1)
    there = await make()
    await there.socket("alice")
    await broadcast(here, 2)
    await there.until(lambda: 2 in commands(there))

    assert commands(there) == [2]


# --- without Redis ----------------------------------------------------------------------------------------------------


def time(milliseconds: int) -> list[bytes]:
    return [b"%d" % (milliseconds // 1000), b"%d" % (milliseconds % 1000 * 1000)]


def test_there_is_nothing_to_replay_before_the_first_connection() -> None:
    assert ReplayPosition().since([None]) is None


def test_replay_begins_one_second_before_the_last_checkpoint() -> None:
    position = ReplayPosition()
    position.restart(time(50_000))
    position.checkpoint(None, time(60_000))

    assert position.since([None]) == 59_000


def test_the_server_with_the_oldest_checkpoint_decides() -> None:
    position = ReplayPosition()
    position.restart(time(50_000))
    position.checkpoint("a", time(60_000))
    position.checkpoint("b", time(55_000))

    assert position.since(["a", "b"]) == 54_000
    assert position.since(["a", "b", "new"]) == 49_000


def test_an_invalid_time_changes_nothing() -> None:
    position = ReplayPosition()
    position.restart(time(50_000))
    position.checkpoint(None, ValueError("NOPERM"))
    position.restart(None)

    assert position.since([None]) == 49_000


def test_an_entry_is_new_once_while_it_is_remembered() -> None:
    position = ReplayPosition()

    assert [position.is_new(id) for id in (b"1", b"2", b"1")] == [True, True, False]
    assert all(position.is_new(b"%d" % number) for number in range(10, 10 + MAX_ENTRIES))
    assert position.is_new(b"1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [([], []), ([[b"1-0", [b"d", b"one"]], [b"2-0", [b"d", b"two"]]], [b"one", b"two"]), (None, []), ([b"x"], [])],
)
def test_entries_are_parsed(answer: object, expected: list[bytes]) -> None:
    assert parse_entries(answer) == expected
