"""What no node may miss is read again after a gap: once, and nothing of before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hubbub.brokers.base import Publication
from hubbub.brokers.redis.journal import MOST, Journal, entries
from hubbub.outcome import Outcome
from hubbub.redis.resp import command
from tests.brokers.nodes import MakeNode, Node, redis_nodes
from tests.proxy import Proxy

KEPT = "hubbub.command"


def order(number: int, type: str = KEPT) -> Publication:
    return Publication(type, b"", (), ("alice",), metadata=b"%d" % number)


def orders(node: Node) -> list[int]:
    return [int(publication.metadata) for publication, _ in node.arrived]


@pytest.fixture
async def proxy(valkey: str) -> AsyncIterator[Proxy]:
    async with Proxy.to(int(valkey.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def make(valkey: str) -> AsyncIterator[MakeNode]:
    async with redis_nodes(valkey, kept=[KEPT]) as make:
        yield make


async def give(here: Node, number: int) -> None:
    assert await here.broker.publish_and_wait(order(number)) is Outcome.ACCEPTED


async def test_a_node_that_was_cut_off_reads_once_what_it_has_missed(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await there.socket("alice")
    await give(here, 1)
    await there.until(lambda: orders(there) == [1])

    for missed in (2, 3):
        await proxy.cut()
        await there.until_ready(False)
        await give(here, missed)
        await here.broker.publish_and_wait(order(99, "hubbub.mention"))
        await proxy.restore()
        await there.until(lambda missed=missed: missed in orders(there))  # type: ignore[misc]
    await give(here, 4)
    await there.until(lambda: 4 in orders(there))

    assert orders(there) == [1, 2, 3, 4]


async def test_it_reads_too_what_concerns_users_it_did_not_listen_for(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await proxy.cut()
    await there.until_ready(False)
    there.broker.listen(["alice"])
    await give(here, 1)
    await proxy.restore()

    await there.until(lambda: orders(there) == [1])


async def test_a_node_does_not_read_what_it_has_ordered_itself(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    await give(there, 1)
    await proxy.cut()
    await there.until_ready(False)
    await give(here, 2)
    await proxy.restore()
    await there.until(lambda: bool(orders(there)))

    assert orders(there) == [2]


async def test_a_node_that_starts_does_not_read_what_was_before(make: MakeNode) -> None:
    here = await make()
    await give(here, 1)
    there = await make()
    await there.socket("alice")
    await give(here, 2)
    await there.until(lambda: 2 in orders(there))

    assert orders(there) == [2]


# --- without Redis ----------------------------------------------------------------------------------------------------


def time(milliseconds: int) -> list[bytes]:
    return [b"%d" % (milliseconds // 1000), b"%d" % (milliseconds % 1000 * 1000)]


def reading(since: int) -> bytes:
    return command(b"XRANGE", b"key", b"%d" % since, b"+")


def test_before_anything_could_be_missed_nothing_is_read() -> None:
    assert Journal(b"key").reading([None]) is None


def test_a_reading_begins_a_little_before_the_last_time_when_all_was_fine() -> None:
    journal = Journal(b"key")
    journal.all_is_fine(time(50_000))
    journal.is_fine(None, time(60_000))

    assert journal.reading([None]) == reading(59_000)


def test_the_server_that_was_fine_least_recently_decides() -> None:
    journal = Journal(b"key")
    journal.all_is_fine(time(50_000))
    journal.is_fine("a", time(60_000))
    journal.is_fine("b", time(55_000))

    assert journal.reading(["a", "b"]) == reading(54_000)
    assert journal.reading(["a", "b", "new"]) == reading(49_000)


def test_what_is_no_time_changes_nothing() -> None:
    journal = Journal(b"key")
    journal.all_is_fine(time(50_000))
    journal.is_fine(None, ValueError("NOPERM"))
    journal.all_is_fine(None)

    assert journal.reading([None]) == reading(49_000)


def test_an_entry_is_news_once_for_as_long_as_it_is_kept() -> None:
    journal = Journal(b"key")

    assert [journal.is_news(id) for id in (b"1", b"2", b"1")] == [True, True, False]
    assert all(journal.is_news(b"%d" % number) for number in range(10, 10 + MOST))
    assert journal.is_news(b"1")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [([], []), ([[b"1-0", [b"d", b"one"]], [b"2-0", [b"d", b"two"]]], [b"one", b"two"]), (None, []), ([b"x"], [])],
)
def test_entries_are_read(answer: object, expected: list[bytes]) -> None:
    assert entries(answer) == expected
