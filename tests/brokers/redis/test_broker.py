"""How the Redis broker handles bad messages, outages and overload."""

from __future__ import annotations

import asyncio
import pickle
import secrets
import struct
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from hubbub.brokers.codec import MAX_BYTES, PublicationIds, encode
from hubbub.brokers.redis.broker import RedisBroker
from hubbub.contract.topics import Topic
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.redis.channels import Channels
from tests.brokers.nodes import MakeNode, publication, redis_nodes
from tests.proxy import Proxy

NEWS = Topic("conversation", "news")
SPORT = Topic("conversation", "sport")
PREFIX = "t"


@pytest.fixture
async def proxy(valkey: str) -> AsyncIterator[Proxy]:
    async with Proxy.to(int(valkey.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def make(valkey: str) -> AsyncIterator[MakeNode]:
    async with redis_nodes(valkey) as make:
        yield make


# --- receiving --------------------------------------------------------------------------------------------------------

GOOD = encode(publication(b"good", NEWS), PublicationIds().next())
BAD = {
    "no_magic": pickle.dumps({"type": "server.test.event"}),
    "unknown_version": GOOD[:4] + b"\x02" + GOOD[5:],
    "wrong_length": GOOD + b"more",
    "bad_header": GOOD[:33] + b"\xc1" + GOOD[34:],
    "wrong_channel": encode(publication(b"sport", SPORT), PublicationIds().next()),
    "too_big": GOOD + bytes(MAX_BYTES),
}


@pytest.mark.parametrize("fault", BAD)
async def test_an_invalid_publication_is_dropped_and_counted(valkey: str, fault: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        prefix = secrets.token_hex(4)
        here = await make(prefix=prefix)
        alice = await here.socket("alice", NEWS)

        await client.spublish(Channels(prefix).of(NEWS).decode(), BAD[fault])
        here.broker.publish(publication(b"good", NEWS))
        await here.until(lambda: bool(alice.written))

        assert alice.written == [b"good"]
        assert dict(here.stats.errors) == {f"redis_{fault}": 1}
        assert here.broker.ready


async def test_a_duplicate_is_delivered_once(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        prefix = secrets.token_hex(4)
        here = await make(prefix=prefix)
        alice = await here.socket("alice", NEWS)

        for _ in range(2):
            await client.spublish(Channels(prefix).of(NEWS).decode(), GOOD)
        here.broker.publish(publication(b"end", NEWS))
        await here.until(lambda: b"end" in alice.written)

        assert alice.written == [b"good", b"end"]
        assert dict(here.stats.errors) == {"redis_duplicate": 1}


async def test_a_script_can_complete_the_metadata(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        prefix = secrets.token_hex(4)
        here = await make(prefix=prefix)
        await here.socket("alice", NEWS)
        channel = Channels(prefix).of(NEWS).decode()
        unfinished = encode(publication(b"frame", NEWS, metadata=b"version "), PublicationIds().next(), appended=8)

        script = "redis.call('SPUBLISH', KEYS[1], ARGV[1] .. struct.pack('>I8', ARGV[2]))"
        await client.eval(script, 1, channel, unfinished, 1_700_000_000_123)
        await here.until(lambda: bool(here.arrived))

        assert here.arrived[0][0].metadata == b"version " + struct.pack("!Q", 1_700_000_000_123)


async def test_a_listener_that_fails_does_not_end_delivery(make: MakeNode) -> None:
    here = await make()
    alice = await here.socket("alice", NEWS)
    write, alice.write = alice.write, _fail

    here.broker.publish(publication(b"first", NEWS))
    await here.broker.publish_and_wait(publication(b"second", NEWS))
    await _until(lambda: here.stats.errors["redis_deliver"] == 2)
    alice.write = write
    here.broker.publish(publication(b"third", NEWS))
    await here.until(lambda: bool(alice.written))

    assert alice.written == [b"third"]


# --- publishing -------------------------------------------------------------------------------------------------------


async def test_an_oversized_publication_is_dropped_and_leads_to_a_resync(make: MakeNode) -> None:
    here, there = await make(), await make()
    await there.socket("alice", NEWS)

    assert here.broker.publish(publication(bytes(MAX_BYTES), NEWS)) is Outcome.DROPPED
    await there.until(lambda: [NEWS] in there.lost)

    assert here.stats.errors["redis_too_big"] == 1


async def test_a_publication_beyond_the_queue_limit_is_dropped_counted_and_leads_to_a_resync(make: MakeNode) -> None:
    here, there = await make(max_bytes=10_000), await make()
    await there.socket("alice", NEWS)
    await there.socket("bob", SPORT)

    outcomes = [here.broker.publish(publication(bytes(1000), NEWS)) for _ in range(20)]
    await there.until(lambda: [NEWS] in there.lost)

    accepted = outcomes.count(Outcome.ACCEPTED)
    assert 5 < accepted < 10
    assert outcomes == [Outcome.ACCEPTED] * accepted + [Outcome.DROPPED] * (20 - accepted)
    assert here.stats.errors["redis_dropped"] == 20 - accepted
    assert [SPORT] not in there.lost


async def test_too_many_losses_lead_to_a_resync_of_everything(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(proxy.url), await make()
    there.lost.clear()
    await proxy.cut()
    await here.until_ready(False)

    for number in range(1001):
        here.broker.publish(publication(b"x", Topic("conversation", str(number))))
    await proxy.restore()
    await there.until(lambda: bool(there.lost))

    assert there.lost == [None]


# --- gaps -------------------------------------------------------------------------------------------------------------


async def test_a_broker_that_cannot_connect_names_the_remedy() -> None:
    async with Proxy.to(1) as proxy:
        pass
    broker = RedisBroker(f"redis://:secret@127.0.0.1:{proxy.port}", stats=Stats())

    with pytest.raises(ConfigurationError, match="redis_url") as raised:
        await broker.start(_ignore, _ignore)

    assert "secret" not in str(raised.value)
    assert f"127.0.0.1:{proxy.port}" in str(raised.value)


@pytest.mark.parametrize("url", ["http://x", "redis://x?db=y", ""])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis_url"):
        RedisBroker(url, stats=Stats())


async def test_a_gap_in_receiving_is_followed_by_a_resync(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    alice = await there.socket("alice", NEWS)
    there.lost.clear()

    proxy.interrupt()
    await there.until_ready(False)
    assert there.lost == []
    await there.until_ready()
    here.broker.publish(publication(b"after", NEWS))
    await there.until(lambda: b"after" in alice.written)

    assert there.lost == [None]


async def test_a_resync_comes_after_the_subscription(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(), await make(proxy.url)
    alice = await there.socket("alice", NEWS)
    there.lost.clear()

    proxy.interrupt()
    await there.until(lambda: bool(there.lost))
    here.broker.publish(publication(b"after", NEWS))
    await there.until(lambda: bool(alice.written))

    assert alice.written == [b"after"]


async def test_publishing_while_redis_is_unreachable_leads_to_a_resync_on_other_nodes(
    make: MakeNode, proxy: Proxy
) -> None:
    here, there = await make(proxy.url), await make()
    await there.socket("alice", NEWS)
    await proxy.cut()
    await here.until_ready(False)

    assert here.broker.publish(publication(b"lost", NEWS)) is Outcome.DROPPED
    assert await here.broker.publish_and_wait(publication(b"lost", NEWS)) is Outcome.DROPPED
    there.lost.clear()
    await proxy.restore()
    await there.until(lambda: bool(there.lost))

    assert there.lost == [[NEWS]]


async def test_subscribing_does_not_wait_for_an_unreachable_server(make: MakeNode, proxy: Proxy) -> None:
    here = await make(proxy.url)
    await proxy.cut()
    await here.until_ready(False)

    assert here.broker.subscribe([NEWS]) is None
    await proxy.restore()
    await here.until_ready()
    alice = await here.socket("alice", NEWS)
    here.broker.publish(publication(b"hello", NEWS))
    await here.until(lambda: bool(alice.written))


async def test_a_wait_ends_when_the_connection_is_lost(make: MakeNode, proxy: Proxy) -> None:
    here = await make(proxy.url)
    proxy.hold()
    waiting = here.broker.subscribe([NEWS])
    assert waiting is not None
    await proxy.cut()

    await asyncio.wait_for(waiting, 1)


async def test_a_hanging_server_is_detected_and_the_broker_recovers(make: MakeNode, proxy: Proxy) -> None:
    here = await make(proxy.url)
    alice = await here.socket("alice", NEWS)

    proxy.hold()
    assert await here.broker.publish_and_wait(publication(b"lost?", NEWS)) is Outcome.UNKNOWN
    await here.until_ready(False)
    await proxy.restore()
    await here.until_ready()
    here.broker.publish(publication(b"after", NEWS))
    await here.until(lambda: b"after" in alice.written)


async def test_a_server_that_answers_but_no_longer_delivers_is_detected(make: MakeNode, proxy: Proxy) -> None:
    here = await make(proxy.url)
    alice = await here.socket("alice", NEWS)
    here.lost.clear()

    proxy.drops_pushes = True
    assert await here.broker.publish_and_wait(publication(b"lost", NEWS)) is Outcome.ACCEPTED
    await here.until_ready(False)
    proxy.drops_pushes = False
    await here.until_ready()
    here.broker.publish(publication(b"after", NEWS))
    await here.until(lambda: bool(alice.written))

    assert here.lost == [None]
    assert alice.written == [b"after"]


async def test_a_pending_resync_survives_further_outages(make: MakeNode, proxy: Proxy) -> None:
    here, there = await make(proxy.url), await make()
    await there.socket("alice", NEWS)
    there.lost.clear()
    await proxy.cut()
    await here.until_ready(False)
    here.broker.publish(publication(b"lost", NEWS))

    for _ in range(3):
        await proxy.restore()
        await here.until_ready()
        await proxy.cut()
        await here.until_ready(False)
    await proxy.restore()

    await there.until(lambda: [NEWS] in there.lost)


async def test_every_event_during_repeated_interruptions_arrives_or_leads_to_a_resync(
    make: MakeNode, proxy: Proxy
) -> None:
    """A resync follows every event that a socket missed."""
    here, there = await make(proxy.url), await make(proxy.url)
    alice = await there.socket("alice", NEWS)
    published = 0
    resync_after = -1

    for round in range(10):
        for _ in range(20):
            here.broker.publish(publication(b"%d" % published, NEWS))
            published += 1
            if published % 7 == 0:
                await asyncio.sleep(0)
        if round % 2:
            proxy.interrupt()
            before = len(there.lost)
            await there.until(lambda before=before: len(there.lost) > before)  # type: ignore[misc]
            await here.until_ready()
            resync_after = published
    here.broker.publish(publication(b"end", NEWS))
    await there.until(lambda: b"end" in alice.written)

    heard = {int(frame) for frame in alice.written if frame != b"end"}
    missed = set(range(published)) - heard
    assert all(number < resync_after for number in missed)
    assert alice.written == sorted(alice.written, key=lambda frame: published if frame == b"end" else int(frame))


async def test_a_replica_is_not_published_to(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        here = await make()
        await client.replicaof("127.0.0.1", 1)
        try:
            await here.until_ready(False)
        finally:
            await client.replicaof("NO", "ONE")
        await here.until_ready()


async def test_killed_connections_are_reopened(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        here = await make()
        alice = await here.socket("alice", NEWS)
        for kind in ("pubsub", "normal"):
            here.lost.clear()
            await client.client_kill_filter(_type=kind)
            await here.until(lambda: here.lost == [None])
        here.broker.publish(publication(b"after", NEWS))
        await here.until(lambda: b"after" in alice.written)


async def test_an_idle_node_has_two_connections(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        before = len(await client.client_list())
        here = await make()
        for number in range(50):
            await here.socket(f"user{number}", NEWS)

        assert len(await client.client_list()) - before == 2


async def test_a_channel_without_listeners_is_unsubscribed(valkey: str) -> None:
    async with redis_nodes(valkey) as make, redis.asyncio.from_url(valkey) as client:
        prefix = secrets.token_hex(4)
        here = await make(prefix=prefix)
        await here.socket("alice", NEWS)
        here.broker.unsubscribe([NEWS])
        while Channels(prefix).of(NEWS) in await client.pubsub_shardchannels(f"{prefix}:*"):
            await asyncio.sleep(0.05)

        assert Channels(prefix).of("alice") in await client.pubsub_shardchannels(f"{prefix}:*")


async def test_stopping_sends_the_queued_publications(make: MakeNode) -> None:
    here, there = await make(), await make()
    alice = await there.socket("alice", NEWS)

    for number in range(1000):
        here.broker.publish(publication(b"%d" % number, NEWS))
    await here.broker.stop()
    await there.until(lambda: len(alice.written) == 1000)


def _fail(data: bytes) -> None:
    raise RuntimeError("a bug")


def _ignore(*arguments: object) -> None:
    pass


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
