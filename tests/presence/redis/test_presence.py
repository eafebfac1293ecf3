"""Presence of many nodes over Redis: nodes die and freeze, and Redis loses data or connections."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
import redis

from hubbub.brokers.base import Publication
from hubbub.contract.topics import Topic
from hubbub.errors import ConfigurationError, Unavailable
from hubbub.metrics.stats import Stats
from hubbub.presence.redis.local_users import PendingWrite
from hubbub.presence.redis.presence import RedisPresence
from hubbub.presence.tracker import Presence
from hubbub.presence.updates import UPDATE, publication_of
from hubbub.redis.channels import bucket_of
from hubbub.testing import ManualClock
from tests.presence.nodes import START, Node, System, redis_system
from tests.proxy import Proxy
from tests.valkey import free_ports, run_valkey

REAPED = 8
"""Ticks after which the other nodes have reaped a node without a lease."""


def send_to_all(system: System, command: str) -> None:
    """Send a command to every server."""
    for one in system.clients.every:
        one.execute_command(*command.split())


def keys_with(system: System, part: str) -> list[str]:
    """Return the keys of all servers whose name contains `part`."""
    return [key.decode() for one in system.clients.every for key in one.keys(f"{system.prefix}:*{part}*")]


def user_key(system: System, user: str) -> str:
    return f"{system.prefix}:{{b{bucket_of(user)}}}:p:{user}"


def end_lease(system: System, *nodes: Node) -> None:
    """Expire the leases of nodes now, as some seconds without a heartbeat would."""
    for node in nodes:
        system.clients.zadd(f"{system.prefix}:{{b0}}:nodes", {incarnation_of(node): 1}, xx=True)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def incarnation_of(node: Node) -> str:
    return presence_of(node).lease.incarnation


def presence_of(node: Node) -> RedisPresence:
    assert isinstance(node.presence, RedisPresence)
    return node.presence


async def test_users_of_a_dead_node_who_have_no_other_socket_are_announced_offline_once(nodes: System) -> None:
    dying, second, third = [await nodes.node() for _ in range(3)]
    watchers = [await node.watch("alice", "bob", "carol") for node in (second, third)]
    dying.connect("alice", "bob", "carol")
    second.connect("bob")
    await nodes.tick(6)
    for watcher in watchers:
        assert await watcher.statuses() == ["online"] * 3

    nodes.kill(dying)
    end_lease(nodes, dying)
    await nodes.tick(REAPED)

    for watcher in watchers:
        assert sorted(presence.user_id for presence in await watcher.changes()) == ["alice", "carol"]
    assert sorted(user for node in (second, third) for seen in node.left for user in seen) == ["alice", "carol"]
    assert {await node.status("bob") for node in (second, third)} == {"online"}


async def test_only_expiring_tombstones_remain_of_a_dead_node(nodes: System) -> None:
    dying, _ = await nodes.node(), await nodes.node()
    dying.connect(*(f"user-{number}" for number in range(20)))
    await nodes.tick(6)

    nodes.kill(dying)
    end_lease(nodes, dying)
    await nodes.tick(REAPED)

    name = incarnation_of(dying)
    for key in keys_with(nodes, name):
        assert key.endswith(f":x:{name}")
        assert 0 < nodes.clients.ttl(key) <= 30
    for key in keys_with(nodes, ":p:"):
        assert nodes.clients.hget(key, f"n:{name}") is None
        assert 0 < nodes.clients.ttl(key) <= 60


async def test_other_nodes_announce_offline_for_a_user_who_was_reconnecting_when_the_node_died(nodes: System) -> None:
    dying, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice")
    dying.connect("alice")
    await nodes.tick(6)
    dying.disconnect("alice")
    await nodes.tick()

    nodes.kill(dying)
    end_lease(nodes, dying)
    await nodes.tick(REAPED)

    assert await watcher.changes() == [Presence("alice", "online", None), Presence("alice", "offline", START + 6)]


async def test_reaping_a_dead_node_keeps_a_user_who_moves_between_other_nodes_online(nodes: System) -> None:
    dying, other, third = [await nodes.node() for _ in range(3)]
    watcher = await other.watch("alice")
    dying.connect("alice")
    await nodes.tick(6)
    dying.disconnect("alice")
    await nodes.tick()
    other.connect("alice")  # the first node has nothing left to announce, and is still listed
    await nodes.tick()
    nodes.kill(dying)
    end_lease(nodes, dying)
    await nodes.tick()
    other.disconnect("alice")
    await nodes.tick(2)
    third.connect("alice")
    await nodes.tick(20)

    assert await watcher.statuses() == ["online"]


async def test_reaping_a_node_keeps_a_user_who_reloads_on_another_online(nodes: System) -> None:
    dying, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice", "bob")
    for node in (dying, other):
        node.connect("alice", "bob")
    await nodes.tick(6)
    nodes.kill(dying)
    end_lease(nodes, dying)
    await nodes.tick()

    other.disconnect("alice", "bob")
    await nodes.tick(2)  # the dead node is reaped during these ticks
    other.connect("bob")
    await nodes.tick(REAPED)

    # Users may be on different servers, which keep no common order.
    by_user = sorted(await watcher.changes(), key=lambda presence: presence.user_id)
    assert by_user == [
        Presence("alice", "online", None),
        Presence("alice", "offline", START + 7),
        Presence("bob", "online", None),
    ]
    assert [list(seen) for seen in other.left] == [["alice"]]


async def test_a_frozen_node_writes_under_a_new_incarnation_when_it_resumes(nodes: System) -> None:
    frozen, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice", "bob")
    frozen.connect("alice")
    await nodes.tick(6)
    former = incarnation_of(frozen)

    nodes.nodes.remove(frozen)
    end_lease(nodes, frozen)
    await nodes.tick(REAPED)
    assert await watcher.statuses() == ["online", "offline"]
    frozen.connect("bob")
    nodes.nodes.append(frozen)
    await nodes.tick(3)

    changes = await watcher.changes()
    assert sorted((presence.user_id, presence.status) for presence in changes) == [
        ("alice", "online"),
        ("bob", "online"),
    ]
    assert incarnation_of(frozen) != former
    for user in ("alice", "bob"):
        assert nodes.clients.hget(user_key(nodes, user), f"n:{former}") is None
        assert nodes.clients.hget(user_key(nodes, user), f"n:{incarnation_of(frozen)}") == b"1:online"


async def test_writes_of_a_dead_incarnation_are_refused(nodes: System) -> None:
    dead, other = await nodes.node(), await nodes.node()
    await nodes.tick(6)
    repository = presence_of(dead).repository
    nodes.kill(dead)
    end_lease(nodes, dead)
    await nodes.tick(REAPED)

    assert await repository.write([(PendingWrite("alice", 1, "online", 0.0), START)]) == [[b"fenced"]]
    assert await repository.verify([(7, ())]) == [[b"fenced"]]
    assert await other.status("alice") == "offline"


async def test_writes_that_arrive_too_late_are_refused(nodes: System) -> None:
    node = await nodes.node()
    presence = presence_of(node)
    presence.lease.valid_until -= 31_000  # as if it had been sent that long ago

    assert await presence.repository.write([(PendingWrite("alice", 1, "online", 0.0), START)]) == [[b"late"]]


async def test_a_negative_count_is_refused_and_counted(nodes: System) -> None:
    node = await nodes.node()
    watcher = await node.watch("alice")
    node.connect("alice")
    repository = presence_of(node).repository
    write = repository.write

    async def wrong(pending: Any) -> Any:  # as a bug in our code would do
        return await write([(entry._replace(sockets=-1), seen) for entry, seen in pending])

    repository.write = wrong  # type: ignore[method-assign,assignment]
    await nodes.tick(3)

    assert node.stats.errors["presence_invalid"] == 1
    assert await watcher.statuses() == []
    assert keys_with(nodes, ":p:alice") == []


@pytest.mark.parametrize("command", ["FLUSHALL", "SCRIPT FLUSH"])
async def test_presence_is_written_again_after_redis_loses_data(nodes: System, command: str) -> None:
    here, there = await nodes.node(), await nodes.node()
    watcher = await there.watch("alice", "bob", "carol")
    here.connect("alice", "bob", "carol")
    await nodes.tick(6)
    assert await watcher.statuses() == ["online"] * 3
    here.disconnect("bob", "carol")
    await nodes.tick()

    send_to_all(nodes, command)
    there.connect("carol")
    await nodes.tick(10)

    assert await watcher.changes() == [Presence("bob", "offline", START + 6)]
    assert [await there.status(user) for user in ("alice", "bob", "carol")] == ["online", "offline", "online"]
    assert [user for seen in here.left + there.left for user in seen] == ["bob"]


async def test_versions_rise_even_after_data_loss(nodes: System) -> None:
    node = await nodes.node()
    watcher = await node.watch("alice")
    versions = []
    for _ in range(3):
        node.connect("alice")
        await nodes.tick()
        node.disconnect("alice")
        await nodes.tick(5)
        await node.arrived()
        versions += [version for _, version in watcher.heard]
        await watcher.changes()
        nodes.clients.delete(user_key(nodes, "alice"))

    assert len(versions) == 6
    assert versions == sorted(set(versions))


async def test_a_user_goes_offline_when_redis_is_emptied_and_their_node_dies(nodes: System) -> None:
    dying, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice")
    dying.connect("alice")
    await nodes.tick(6)
    assert await watcher.statuses() == ["online"]

    nodes.kill(dying)
    send_to_all(nodes, "FLUSHALL")
    await nodes.tick(14)

    assert await watcher.changes() == [Presence("alice", "offline", None)]


async def test_no_user_flaps_in_an_outage_of_all_nodes(nodes: System) -> None:
    made = [await nodes.node() for _ in range(3)]
    watcher = await made[0].watch(*(f"user-{number}" for number in range(3)))
    for number, node in enumerate(made):
        node.connect(f"user-{number}")
    await nodes.tick(6)
    assert await watcher.statuses() == ["online"] * 3

    end_lease(nodes, *made)
    nodes.clock.advance(20)
    await nodes.tick(20)

    assert await watcher.statuses() == []
    assert all(node.left == [] for node in made)


async def test_wrong_data_is_found_and_corrected_within_a_minute(nodes: System) -> None:
    node, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice", "bob")
    node.connect("alice")
    await nodes.tick()
    assert await watcher.statuses() == ["online"]
    name = incarnation_of(node)

    nodes.clients.hdel(user_key(nodes, "alice"), f"n:{name}")  # as on a replica that missed the last changes
    nodes.clients.hset(user_key(nodes, "bob"), mapping={f"n:{name}": "2:online", "s": "online", "v": 5})
    nodes.clients.sadd(f"{nodes.prefix}:{{b{bucket_of('bob')}}}:n:{name}", "bob")
    await nodes.tick(60 + 5)

    assert nodes.clients.hget(user_key(nodes, "alice"), f"n:{name}") == b"1:online"
    assert nodes.clients.hget(user_key(nodes, "bob"), "s") == b"offline"
    assert node.stats.errors["presence_healed"] == 2
    assert await watcher.statuses() in ([], ["online", "offline"])  # depends on whether bob was read in between


async def test_all_data_is_compared_within_seconds_after_a_failure(valkey: str) -> None:
    async with Proxy.to(port_of(valkey)) as proxy, redis_system(valkey) as system:
        node = await system.node(proxy.url)
        node.connect("alice")
        await system.tick()
        await proxy.cut()
        await system.tick(5)
        await proxy.restore()
        await system.tick()

        # As if a command was in flight when the connection broke, and ran later.
        system.clients.hset(user_key(system, "alice"), f"n:{incarnation_of(node)}", "2:online")
        await system.tick(21)  # buckets that failed during the outage are compared once more

        assert system.clients.hget(user_key(system, "alice"), f"n:{incarnation_of(node)}") == b"1:online"


async def test_rewriting_the_same_data_changes_nothing(nodes: System) -> None:
    node = await nodes.node()
    watcher = await node.watch("alice")
    node.connect("alice")
    await nodes.tick()
    await watcher.statuses()
    before = nodes.clients.hgetall(user_key(nodes, "alice"))

    presence_of(node).local.rewrite_all()
    await nodes.tick(65)

    assert nodes.clients.hgetall(user_key(nodes, "alice")) == before
    assert await watcher.statuses() == []
    assert node.stats.errors["presence_healed"] == 0


async def test_a_heartbeat_writes_no_user_data(nodes: System) -> None:
    node = await nodes.node()
    node.connect(*(f"user-{number}" for number in range(100)))
    await nodes.tick(2)
    repository = presence_of(node).repository
    writes = []
    write = repository.write

    async def counted(pending: Any) -> Any:
        writes.append(pending)
        return await write(pending)

    repository.write = counted  # type: ignore[method-assign,assignment]
    for _ in range(30):
        for number in range(100):
            node.presence.touch(f"user-{number}")
        await nodes.tick()

    assert writes == []


async def test_stopping_a_node_is_silent_for_users_who_reconnect_to_another(nodes: System) -> None:
    ending, other = await nodes.node(), await nodes.node()
    watcher = await other.watch("alice", "bob")
    ending.connect("alice", "bob")
    await nodes.tick(6)
    assert await watcher.statuses() == ["online"] * 2

    ending.disconnect("alice", "bob")
    nodes.nodes.remove(ending)
    await ending.presence.stop()
    await ending.broker.stop()
    other.connect("alice")
    await nodes.tick(2)
    assert await watcher.statuses() == []
    end_lease(nodes, ending)  # stopping shortened it to the grace period
    await nodes.tick(3)

    assert [(presence.user_id, presence.status) for presence in await watcher.changes()] == [("bob", "offline")]
    assert [list(seen) for seen in other.left] == [["bob"]]


async def test_stopping_a_node_shortens_its_lease_to_the_grace_period(nodes: System) -> None:
    ending = await nodes.node()
    ending.connect("alice")
    await nodes.tick()
    ending.disconnect("alice")
    nodes.nodes.remove(ending)
    await ending.presence.stop()
    await ending.broker.stop()

    left = nodes.clients.zscore(f"{nodes.prefix}:{{b0}}:nodes", incarnation_of(ending)) / 1000 - time.time()
    assert nodes.grace - 2 < left <= nodes.grace


async def test_missed_changes_are_announced_after_the_gap(nodes: System) -> None:
    here, there = await nodes.node(), await nodes.node()
    watcher = await there.watch("alice", "bob")
    here.connect("alice", "bob")
    await nodes.tick()
    assert await watcher.statuses() == ["online"] * 2

    # A change whose publication was lost.
    nodes.clients.hset(user_key(nodes, "alice"), mapping={"s": "away", "seen": START, "v": 2_000_000_000_000})
    there.presence.on_loss([Topic("user", "alice"), "alice", Topic("conversation", "c1")])
    await nodes.tick()

    assert await watcher.changes() == [Presence("alice", "away", START)]


async def test_watched_users_are_compared_within_a_minute(nodes: System) -> None:
    node = await nodes.node()
    watcher = await node.watch(*(f"user-{number}" for number in range(10)))
    await nodes.tick()

    # As if another node had written it.
    nodes.clients.hset(user_key(nodes, "user-7"), mapping={"s": "away", "v": 2_000_000_000_000})
    await nodes.tick(61)

    assert [presence.user_id for presence in await watcher.changes()] == ["user-7"]


@pytest.mark.parametrize("fail", [Proxy.cut, Proxy.hold])
async def test_a_snapshot_that_cannot_be_read_within_a_second_fails(valkey: str, fail: Any) -> None:
    async with Proxy.to(port_of(valkey)) as proxy, redis_system(proxy.url) as system:
        node = await system.node()
        await node.watch("alice")
        if (waiting := fail(proxy)) is not None:
            await waiting

        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await node.presence.announced(["bob"])
        assert asyncio.get_running_loop().time() - began < 1.5
        assert await node.status("alice") == "offline"  # a watched user needs no read
        await proxy.restore()


async def test_changes_during_an_outage_are_written_after_it(valkey: str) -> None:
    async with Proxy.to(port_of(valkey)) as proxy, redis_system(valkey) as system:
        cut, other = await system.node(proxy.url), await system.node()
        watcher = await other.watch("alice", "bob", "carol")
        cut.connect("alice", "bob")
        await system.tick()
        assert await watcher.statuses() == ["online"] * 2

        await proxy.cut()
        cut.disconnect("alice")
        cut.connect("carol")
        await system.tick(2)
        assert cut.stats.errors["presence_store"] > 0
        assert await watcher.statuses() == []
        await proxy.restore()
        await cut.until_ready()
        await system.tick(10)

        assert [(presence.user_id, presence.status) for presence in await watcher.changes()] == [
            ("carol", "online"),
            ("alice", "offline"),
        ]


async def test_a_user_who_moves_to_another_node_during_an_outage_does_not_flap(valkey: str) -> None:
    async with Proxy.to(port_of(valkey)) as proxy, redis_system(proxy.url) as system:
        here, there = await system.node(), await system.node()
        watcher = await here.watch("alice")
        here.connect("alice")
        await system.tick()
        assert await watcher.statuses() == ["online"]

        await proxy.cut()
        here.disconnect("alice")
        await system.tick(20)
        there.connect("alice")
        await proxy.restore()
        await here.until_ready()
        await system.tick(10)

        assert await watcher.statuses() == []


async def test_presence_recovers_when_an_outdated_replica_takes_over() -> None:
    with run_valkey() as primary, run_valkey() as replica, redis.Redis(port=replica.port) as on_replica:
        async with Proxy.to(primary.port) as proxy, redis_system(proxy.url) as system:
            node = await system.node()
            watcher = await node.watch("alice", "bob")
            node.connect("alice")
            await system.tick()
            on_replica.replicaof("127.0.0.1", primary.port)
            async with asyncio.timeout(20):
                while not on_replica.exists(user_key(system, "alice")):
                    await asyncio.sleep(0.02)
            on_replica.replicaof("NO", "ONE")

            node.disconnect("alice")
            node.connect("bob")
            await system.tick(6)
            assert sorted(await watcher.statuses()) == ["offline", "online", "online"]
            proxy.redirect_to(replica.port)
            proxy.interrupt()
            async with asyncio.timeout(10):
                while node.stats.errors["presence_store"] == 0:  # the node has noticed the failure
                    await system.tick()
            await node.until_ready()
            await system.tick(60 + 6)

            assert await watcher.statuses() == []
            assert on_replica.hget(user_key(system, "alice"), "s") == b"offline"
            assert on_replica.hget(user_key(system, "bob"), "s") == b"online"
            assert node.stats.errors["presence_healed"] == 2


async def test_an_invalid_update_is_dropped_and_counted(nodes: System) -> None:
    node = await nodes.node()
    good = publication_of(Presence("alice", "online", None), 7)
    topics, users = good.topics, good.users

    for metadata in (b"", b"\x00", good.metadata[:-1], b"\xc1" + good.metadata):
        assert not node.presence.observe(Publication(UPDATE, good.frame, topics, users, metadata=metadata))
    assert not node.presence.observe(msgspec.structs.replace(good, users=("bob",)))

    assert node.stats.errors["presence_bad"] == 5


async def test_an_older_version_is_dropped_and_counted(nodes: System) -> None:
    node = await nodes.node()
    await node.watch("alice")
    assert node.presence.observe(publication_of(Presence("alice", "online", None), 7))

    assert not node.presence.observe(publication_of(Presence("alice", "away", START), 6))

    assert node.stats.errors["presence_old"] == 1
    assert await node.status("alice") == "online"


async def test_no_user_is_remembered_forever(nodes: System) -> None:
    node = await nodes.node()
    users = [f"user-{number}" for number in range(50)]
    watcher = await node.watch(*users)
    node.connect(*users)
    await nodes.tick()
    node.disconnect(*users)
    watcher.leave()
    await nodes.tick(10)

    presence = presence_of(node)
    assert len(presence.local) == 0
    assert len(presence.replica) == 0
    assert keys_with(nodes, ":n:") == []


async def test_starting_without_redis_raises_a_configuration_error() -> None:
    presence = RedisPresence(
        f"redis://:secret@127.0.0.1:{free_ports(1)[0]}",
        clock=ManualClock(),
        stats=Stats(),
        away_after=300,
        offline_after=3,
    )

    with pytest.raises(ConfigurationError, match="correct redis_url") as raised:
        await presence.start(Node(ManualClock(), Stats()))

    assert "secret" not in str(raised.value)
