"""A Cluster changes while brokers use it: slots move, primaries fail, replicas take over."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
import redis

from hubbub.contract.topics import Topic
from hubbub.outcome import Outcome
from hubbub.redis.channels import bucket_of, slot_of
from tests.brokers.nodes import MakeNode, Node, publication, redis_nodes
from tests.proxy import Proxy
from tests.valkey import client_of, run_cluster, run_valkey, wait_for, with_replica


def topic_in(slots: range) -> Topic:
    """Return a topic whose channel is in one of the slots."""
    topics = (Topic("conversation", f"c{number}") for number in range(100_000))
    return next(topic for topic in topics if slot_of(bucket_of(topic)) in slots)


async def publish_until_delivered(here: Node, there: Node, *sockets: Any) -> None:
    """Publish to the topic of each socket until every socket receives it.

    A node that only publishes learns from the first refusal that a slot has moved. That leads to a resync.
    """
    for socket in sockets:
        socket.written.clear()
        (topic,) = socket.subscriptions
        while await here.broker.publish_and_wait(publication(b"after", topic)) is not Outcome.ACCEPTED:
            await there.until(lambda topic=topic: [topic] in there.lost)  # type: ignore[misc]
            await here.until_ready()
    await there.until(lambda: all(b"after" in socket.written for socket in sockets))


async def test_channels_follow_a_slot_that_moves() -> None:
    with run_cluster() as servers, contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(client_of(server)) for server in servers)
        async with redis_nodes(f"redis://127.0.0.1:{servers[2].port}") as make:
            here, there = await make(), await make()
            topic, stays = topic_in(range(0, 5000)), topic_in(range(6000, 10000))
            alice, bob = await there.socket("alice", topic), await there.socket("bob", stays)
            there.lost.clear()

            slot = slot_of(bucket_of(topic))
            target = second.execute_command("CLUSTER", "MYID").decode()
            for client in (second, first, third):
                await asyncio.to_thread(client.execute_command, "CLUSTER", "SETSLOT", slot, "NODE", target)
            await there.until(lambda: [topic] in there.lost or None in there.lost)
            await there.until_ready()
            await here.until_ready()
            await publish_until_delivered(here, there, alice, bob)

            assert [stays] not in there.lost


async def test_a_replica_takes_over_on_command() -> None:
    with run_cluster() as servers, with_replica(servers) as replica, client_of(replica) as client:
        async with redis_nodes(f"redis://127.0.0.1:{servers[1].port}") as make:
            here, there = await make(), await make()
            topic, stays = topic_in(range(0, 5000)), topic_in(range(6000, 10000))
            alice, bob = await there.socket("alice", topic), await there.socket("bob", stays)
            there.lost.clear()

            await asyncio.to_thread(client.execute_command, "CLUSTER", "FAILOVER", "TAKEOVER")
            await there.until(lambda: any(lost is None or topic in lost for lost in there.lost))
            await here.until_ready()
            await publish_until_delivered(here, there, alice, bob)


async def test_a_replica_takes_over_when_the_primary_dies() -> None:
    with run_cluster() as servers, with_replica(servers):
        async with redis_nodes(f"redis://127.0.0.1:{servers[1].port}") as make:
            here, there = await make(), await make()
            topic, stays = topic_in(range(0, 5000)), topic_in(range(6000, 10000))
            alice, bob = await there.socket("alice", topic), await there.socket("bob", stays)
            there.lost.clear()

            servers[0].terminate()
            await there.until_ready(False)
            await here.until_ready(False)
            assert here.broker.publish(publication(b"lost", topic)) is Outcome.DROPPED
            assert here.broker.publish(publication(b"heard", stays)) is Outcome.ACCEPTED
            await there.until(lambda: b"heard" in bob.written)
            await there.until(lambda: any(lost is None or topic in lost for lost in there.lost), seconds=30)
            await here.until_ready(seconds=30)
            await publish_until_delivered(here, there, alice, bob)


async def test_one_server_fails_over_behind_its_address() -> None:
    """Both nodes reach Redis by one name. After the failover the name points to the replica; open connections stay."""
    with run_valkey() as primary, run_valkey() as replica, client_of(primary) as old, client_of(replica) as new:
        old.config_set("repl-diskless-sync-delay", 0)
        new.replicaof("127.0.0.1", primary.port)
        wait_for(lambda: new.info("replication")["master_link_status"] == "up")
        async with Proxy.to(primary.port or 0) as proxy, redis_nodes(proxy.url) as make:
            here, there = await make(), await make()
            topic = Topic("conversation", "c1")
            alice = await there.socket("alice", topic)
            there.lost.clear()

            new.replicaof("NO", "ONE")
            proxy.redirect_to(replica.port or 0)
            old.replicaof("127.0.0.1", replica.port)
            await there.until(lambda: None in there.lost)
            await here.until_ready()
            await publish_until_delivered(here, there, alice)


@pytest.fixture
async def make(valkey_cluster: str) -> Any:
    async with redis_nodes(valkey_cluster) as make:
        yield make


async def test_a_node_has_two_connections_per_server(make: MakeNode, valkey_cluster: str) -> None:
    client: Any = redis.RedisCluster.from_url(valkey_cluster)
    before = [len(client.client_list(target_nodes=node)) for node in client.get_primaries()]
    here = await make()
    await here.socket("alice", *(Topic("conversation", f"c{number}") for number in range(100)))
    after = [len(client.client_list(target_nodes=node)) for node in client.get_primaries()]
    client.close()

    assert [late - early for early, late in zip(before, after, strict=True)] == [2, 2, 2]
