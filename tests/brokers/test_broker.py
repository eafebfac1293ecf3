"""What every broker promises, tested on memory, a single Redis server and a Cluster."""

from __future__ import annotations

import asyncio

from hubbub.contract.topics import Topic
from hubbub.outcome import Outcome
from tests.brokers.nodes import MakeNode, publication

NEWS = Topic("conversation", "news")
SPORT = Topic("conversation", "sport")
END = b"the end"


async def test_a_publication_reaches_a_listener_unchanged(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice = await there.socket("alice", NEWS)
    sent = publication(b"frame \xff\x00", NEWS, users=["bob"], exclude="nobody", metadata=b"for nodes")

    assert here.broker.publish(sent) is Outcome.ACCEPTED
    await there.until(lambda: len(there.arrived) > 0)

    assert there.arrived[0][0] == sent
    assert alice.written == [b"frame \xff\x00"]


async def test_a_publication_reaches_a_user(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice, bob = await there.socket("alice"), await there.socket("bob")

    here.broker.publish(publication(b"to alice", users=["alice"]))
    here.broker.publish(publication(END, users=["alice", "bob"]))
    await there.until(lambda: END in alice.written and END in bob.written)

    assert alice.written == [b"to alice", END]
    assert bob.written == [END]


async def test_a_node_receives_its_own_publications(node: MakeNode) -> None:
    here = await node()
    alice = await here.socket("alice", NEWS)

    here.broker.publish(publication(b"hello", NEWS))
    await here.until(lambda: bool(alice.written))

    assert alice.written == [b"hello"]


async def test_a_socket_that_matches_several_interests_receives_one_copy(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice = await there.socket("alice", NEWS, SPORT)
    bob = await there.socket("bob", SPORT)

    here.broker.publish(publication(b"both", NEWS, SPORT, users=["alice", "bob"]))
    for topic in (NEWS, SPORT):
        here.broker.publish(publication(END, topic, users=["alice", "bob"]))
    # Memory delivers one copy of each, Redis one per interest: four of the first, three of each of the others.
    await there.until(lambda: len(there.arrived) == (10 if there.is_remote else 3))

    assert alice.written.count(b"both") == 1
    assert bob.written.count(b"both") == 1


async def test_the_excluded_socket_receives_nothing(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice, other_tab = await there.socket("alice", NEWS), await there.socket("alice", NEWS)

    here.broker.publish(publication(b"typing", NEWS, users=["alice"], exclude=alice.socket_id))
    here.broker.publish(publication(END, NEWS))
    await there.until(lambda: END in alice.written)

    assert alice.written == [END]
    assert other_tab.written == [b"typing", END]


async def test_each_topic_keeps_the_order_of_publishing(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice, bob = await there.socket("alice", NEWS), await there.socket("bob", SPORT)

    for number in range(500):
        here.broker.publish(publication(b"news %d" % number, NEWS))
        here.broker.publish(publication(b"sport %d" % number, SPORT))
        if number % 50 == 0:
            await asyncio.sleep(0)
    await there.until(lambda: len(alice.written) == len(bob.written) == 500)

    assert alice.written == [b"news %d" % number for number in range(500)]
    assert bob.written == [b"sport %d" % number for number in range(500)]


async def test_an_awaited_subscription_misses_nothing(node: MakeNode) -> None:
    here, there = await node(), await node()
    for number in range(50):
        topic = Topic("conversation", f"c{number}")
        socket = await there.socket("alice", topic)
        here.broker.publish(publication(b"at once", topic))
        await there.until(lambda socket=socket: bool(socket.written))  # type: ignore[misc]


async def test_subscribing_twice_needs_no_wait(node: MakeNode) -> None:
    here = await node()
    await here.socket("alice", NEWS)

    assert here.broker.subscribe([NEWS, "alice"]) is None


async def test_cancelling_the_wait_does_not_unsubscribe(node: MakeNode) -> None:
    here, there = await node(), await node()
    waiting = there.broker.subscribe([NEWS])
    if waiting is not None:
        asyncio.ensure_future(waiting).cancel()
    alice = await there.socket("alice", NEWS)

    here.broker.publish(publication(b"hello", NEWS))
    await there.until(lambda: bool(alice.written))

    assert alice.written == [b"hello"]


async def test_resubscribing_at_once_misses_nothing(node: MakeNode) -> None:
    here, there = await node(), await node()
    alice = await there.socket("alice", NEWS)

    there.broker.unsubscribe([NEWS])
    here.broker.publish(publication(b"in between", NEWS))
    assert there.broker.subscribe([NEWS]) is None
    await there.until(lambda: bool(alice.written))

    assert alice.written == [b"in between"]


async def test_each_of_many_users_receives_one_copy(node: MakeNode) -> None:
    here, there = await node(), await node()
    users = [f"user{number}" for number in range(100)]
    sockets = [await there.socket(user, NEWS) if user == "user7" else await there.socket(user) for user in users]

    here.broker.publish(publication(b"party", NEWS, users=[*users, *users]))
    here.broker.publish(publication(b"party again", users=users))
    await there.until(lambda: len(there.arrived) == (201 if there.is_remote else 2))

    # Order is kept per topic and per user, not between them.
    assert [sorted(socket.written) for socket in sockets] == [[b"party", b"party again"]] * 100


async def test_publish_and_wait_returns_accepted(node: MakeNode) -> None:
    here = await node()

    assert await here.broker.publish_and_wait(publication(b"x", NEWS, users=["alice"])) is Outcome.ACCEPTED
    assert await here.broker.publish_and_wait(publication(b"for nobody")) is Outcome.ACCEPTED


async def test_a_broker_is_ready_while_it_runs(node: MakeNode) -> None:
    here = await node()
    was_ready = here.broker.ready
    await here.broker.stop()

    assert was_ready
    assert not here.broker.ready


async def test_a_stopped_broker_accepts_and_delivers_nothing(node: MakeNode) -> None:
    here = await node()
    alice = await here.socket("alice", NEWS)
    await here.broker.stop()

    assert here.broker.publish(publication(b"late", NEWS)) is Outcome.DROPPED
    assert await here.broker.publish_and_wait(publication(b"late", NEWS)) is Outcome.DROPPED
    assert here.broker.subscribe([SPORT]) is None
    here.broker.unsubscribe([SPORT])
    assert alice.written == []


async def test_a_broker_can_start_again(node: MakeNode) -> None:
    here = await node()
    await here.broker.stop()
    await here.start()
    alice = await here.socket("alice", NEWS)

    here.broker.publish(publication(b"again", NEWS))
    await here.until(lambda: bool(alice.written))

    assert alice.written == [b"again"]
