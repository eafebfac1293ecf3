"""Without sharded pub/sub, everything works over PUBLISH and SUBSCRIBE."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from hubbub.contract.topics import Topic
from hubbub.outcome import Outcome
from tests.brokers.nodes import MakeNode, publication, redis_nodes
from tests.presence.nodes import redis_system
from tests.proxy import Proxy
from tests.valkey import run_valkey

NEWS = Topic("conversation", "news")


@pytest.fixture(scope="module")
def old_port() -> Iterator[int]:
    """Run a server that refuses the commands of sharded pub/sub."""
    with run_valkey(user="default on nopass ~* &* +@all -spublish -ssubscribe -sunsubscribe") as server:
        assert server.port is not None
        yield server.port


@pytest.fixture
async def old(old_port: int) -> AsyncIterator[Proxy]:
    """Yield a proxy to that server that reports Redis 6.2 as the version."""
    async with Proxy.to(old_port) as proxy:
        proxy.claims_version = b"6.2.14"
        yield proxy


@pytest.fixture
async def make(old: Proxy) -> AsyncIterator[MakeNode]:
    async with redis_nodes(old.url) as make:
        yield make


async def test_a_publication_on_one_node_reaches_the_other_once(make: MakeNode) -> None:
    here, there = await make(), await make()
    alice = await there.socket("alice", NEWS)

    for number in range(100):
        here.broker.publish(publication(b"%d" % number, NEWS, users=["alice"]))
    assert await here.broker.publish_and_wait(publication(b"end", NEWS)) is Outcome.ACCEPTED
    await there.until(lambda: b"end" in alice.written)

    assert alice.written == [b"%d" % number for number in range(100)] + [b"end"]
    assert here.stats.errors + there.stats.errors == {}


async def test_a_resync_follows_a_gap(make: MakeNode, old: Proxy) -> None:
    here = await make()
    alice = await here.socket("alice", NEWS)
    here.lost.clear()

    old.drops_pushes = True
    await here.until_ready(False)
    old.drops_pushes = False
    await here.until_ready()
    here.broker.publish(publication(b"after", NEWS))
    await here.until(lambda: bool(alice.written))

    assert here.lost == [None]


async def test_presence_changes_are_published_too(old: Proxy) -> None:
    async with redis_system(old.url) as system:
        here, there = await system.node(), await system.node()
        watcher = await there.watch("alice")
        here.connect("alice")
        await system.tick()

        assert await watcher.statuses() == ["online"]
