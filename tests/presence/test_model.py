"""Compare every presence store with one model, for any order of events on users and nodes.

Online <=> a socket exists on a live node; one event per transition; versions only rise; a user is announced offline
only after the grace period without a socket; a dead node leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import hubbub.presence.redis.presence
from hubbub.presence.redis import reconciler, replica
from hubbub.redis import channels, discovery
from tests.presence.nodes import AWAY, OFFLINE, TICK, Node, System, Watcher, memory_system, redis_system
from tests.presence.redis.test_presence import end_lease, incarnation_of, keys_with, send_to_all, user_key

USERS = ("alice", "bob", "carol")
NODES = 4
QUIET = 20
"""Ticks after which every fault is repaired, with the shorter times below."""

LONG_AGO = 1000.0

APART = 20.0
"""Least seconds between the loss of one user and the loss of the watching node's lease. After a lost lease the node
assumes that all data was lost, and waits for less time than another node may need to find the one lost user."""

BUCKETS = 8


@dataclass
class ModelNode:
    """The sockets that really exist on a node."""

    node: Node
    sockets: dict[str, int] = field(default_factory=lambda: dict.fromkeys(USERS, 0))
    active_at: dict[str, float | None] = field(default_factory=dict)  # None if unknown
    is_frozen: bool = False


class PresenceMachine(RuleBasedStateMachine):
    """Drives a system, and keeps the true state beside it."""

    url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.nodes: list[ModelNode] = []
        self.dead: list[str] = []
        self.gaps: dict[str, tuple[float, float]] = dict.fromkeys(USERS, (-LONG_AGO, float("inf")))
        self.last: dict[tuple[int, str], tuple[str, int]] = {}
        self.watchers: list[Watcher] = []
        self.lost_all_at = self.lost_user_at = -LONG_AGO

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.context = memory_system() if self.url is None else redis_system(self.url)
        self.system: System = self.run(self.context.__aenter__())
        for _ in range(1 if self.url is None else 2):
            self.nodes.append(ModelNode(self.run(self.system.node())))
        self.watchers = [self.run(self.nodes[0].node.watch(*USERS)) for _ in range(2)]
        self.tick(6)  # only nodes that have been up for a while reap

    @property
    def now(self) -> float:
        return self.system.clock.monotonic()

    # --- users --------------------------------------------------------------------------------------------------------

    @rule(user=st.sampled_from(USERS), at=st.integers(0, NODES - 1))
    def connect(self, user: str, at: int) -> None:
        one = self.nodes[at % len(self.nodes)]
        if one.is_frozen:
            return
        if not self.exists(user):
            self.gaps[user] = (self.gaps[user][0], self.now)
        if not one.sockets[user]:
            # Connecting is no activity for a user who is away. If the user is present already, activity is unknown.
            is_new = all(self.last.get((number, user), ("offline", 0))[0] == "offline" for number in range(2))
            one.active_at[user] = self.now if is_new and not self.exists(user) else None
        one.node.connect(user)
        one.sockets[user] += 1

    @rule(user=st.sampled_from(USERS), at=st.integers(0, NODES - 1))
    def disconnect(self, user: str, at: int) -> None:
        holders = [one for one in self.nodes if one.sockets[user] and not one.is_frozen]
        if holders:
            self.close(holders[at % len(holders)], user)

    @rule(user=st.sampled_from(USERS), at=st.integers(0, NODES - 1))
    def touch(self, user: str, at: int) -> None:
        one = self.nodes[at % len(self.nodes)]
        assert one.node.presence.touch(user) is (one.sockets[user] > 0)
        if one.sockets[user]:
            one.active_at[user] = self.now

    @rule(times=st.sampled_from([1, 2, 3, 4, 5, 10]))
    def tick(self, times: int) -> None:
        self.run(self._tick(times))

    async def _tick(self, times: int) -> None:
        for _ in range(times):
            await self.system.tick()
            await self.nodes[0].node.arrived()
            self.hear()

    @rule(seconds=st.sampled_from([0.5, 2.99, 100.0, 299.0, 300.0]))
    def wait(self, seconds: float) -> None:
        self.system.clock.advance(seconds)
        self.tick(1)

    # --- nodes and their store ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.url is not None and len(self.nodes) < NODES)
    @rule()
    def join(self) -> None:
        self.nodes.append(ModelNode(self.run(self.system.node())))

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(at=st.integers(0, NODES - 1))
    def kill(self, at: int) -> None:
        one = self.nodes.pop(1 + at % (len(self.nodes) - 1))
        self.record_death()
        self.system.kill(one.node)
        end_lease(self.system, one.node)
        self.dead.append(incarnation_of(one.node))

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(at=st.integers(0, NODES - 1))
    def stop(self, at: int) -> None:
        one = self.nodes[1 + at % (len(self.nodes) - 1)]
        if one.is_frozen:
            return
        for user in USERS:
            while one.sockets[user]:
                self.close(one, user)
        self.tick(5)
        self.nodes.remove(one)
        self.system.nodes.remove(one.node)
        self.run(one.node.presence.stop())
        self.run(one.node.broker.stop())
        self.dead.append(incarnation_of(one.node))

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(at=st.integers(0, NODES - 1))
    def freeze(self, at: int) -> None:
        one = self.nodes[1 + at % (len(self.nodes) - 1)]
        if not one.is_frozen:
            one.is_frozen = True
            self.system.nodes.remove(one.node)
            end_lease(self.system, one.node)
            self.dead.append(incarnation_of(one.node))
            self.record_death()

    @rule()
    def thaw(self) -> None:
        for one in self.nodes:
            if one.is_frozen:
                one.is_frozen = False
                self.system.nodes.append(one.node)
                for user in USERS:
                    if one.sockets[user] and not any(o.sockets[user] for o in self.nodes if o is not one):
                        self.gaps[user] = (-LONG_AGO, self.now)

    @precondition(lambda self: self.url is not None)
    @rule(at=st.integers(0, NODES - 1))
    def lose_lease(self, at: int) -> None:
        one = self.nodes[at % len(self.nodes)]
        if one is self.nodes[0]:
            if self.now - self.lost_user_at < APART:
                return
            self.lost_all_at = self.now
        if not one.is_frozen:
            self.dead.append(incarnation_of(one.node))
            end_lease(self.system, one.node)
            self.record_death()

    @precondition(lambda self: self.url is not None)
    @rule()
    def flush(self) -> None:
        send_to_all(self.system, "FLUSHALL")
        self.lost_all_at = self.now

    @precondition(lambda self: self.url is not None)
    @rule(user=st.sampled_from(USERS))
    def lose_user(self, user: str) -> None:
        if self.now - self.lost_all_at < APART:
            return
        self.lost_user_at = self.now
        self.system.clients.delete(user_key(self.system, user))

    @precondition(lambda self: self.url is not None)
    @rule()
    def lose_updates(self) -> None:
        self.nodes[0].node.presence.on_loss(None)

    # --- assertions ---------------------------------------------------------------------------------------------------

    def hear(self) -> None:
        """Assert that every event is a transition, in order, and correct."""
        for number, watcher in enumerate(self.watchers):
            heard, watcher.heard = watcher.heard, []
            for presence, version in heard:
                key = number, presence.user_id
                status, before = self.last.get(key, ("offline", -1))
                assert presence.status != status, f"{presence} is no transition"
                assert version > before, f"{presence} has version {version} after {before}"
                self.last[key] = (presence.status, version)
                if presence.status == "offline":
                    since, until = self.gaps[presence.user_id]
                    was_gone = min(until, self.now) - since
                    assert was_gone >= OFFLINE, f"{presence} was without a socket for {was_gone} s"
                    assert until >= self.now - TICK, f"{presence} came back at {until}, and now is {self.now}"

    @rule()
    def everything_agrees_in_the_end(self) -> None:
        self.thaw()
        self.tick(QUIET)
        for user in USERS:
            (presence,) = self.run(self.nodes[0].node.presence.announced([user]))
            assert (presence.status != "offline") is self.exists(user)
            here = [one.active_at[user] for one in self.nodes if one.sockets[user]]
            is_active = [self.now - at < AWAY for at in here if at is not None]
            if any(is_active):
                assert presence.status == "online"
            elif is_active and len(is_active) == len(here):
                assert presence.status == "away"
            for number in range(len(self.watchers)):
                assert self.last.get((number, user), ("offline", 0))[0] == presence.status
        for name in self.dead:
            assert all(f":x:{name}" in key for key in keys_with(self.system, name))

    def teardown(self) -> None:
        try:
            if self.watchers:
                self.everything_agrees_in_the_end()
        finally:
            self.run(self.context.__aexit__(None, None, None))
            self.run(asyncio.sleep(0.01))  # connections end in the next turn of the loop
            self.runner.close()

    # --- details ------------------------------------------------------------------------------------------------------

    def exists(self, user: str) -> bool:
        return any(one.sockets[user] for one in self.nodes if not one.is_frozen)

    def close(self, one: ModelNode, user: str) -> None:
        one.node.disconnect(user)
        one.sockets[user] -= 1
        if not one.sockets[user]:
            del one.active_at[user]
        if not self.exists(user):
            self.gaps[user] = (self.now, float("inf"))

    def record_death(self) -> None:
        """Record that a node counts as dead, which normally takes at least 10 s without a heartbeat.

        Here it happens at once. Users without any other socket count as gone for a long time.
        """
        for user in USERS:
            if not self.exists(user):
                self.gaps[user] = (-LONG_AGO, float("inf"))


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce minutes to a few ticks, and use few buckets, so that each is verified as often.

    No two users share a bucket, every server of the Cluster has some, and they do not fit into one batch.
    """
    for module in (channels, discovery, reconciler, hubbub.presence.redis.presence):
        monkeypatch.setattr(module, "BUCKETS", BUCKETS)
    monkeypatch.setattr(reconciler, "BUCKETS_PER_BATCH", 3)
    monkeypatch.setattr(reconciler, "VERIFY_SECONDS", 4.0)
    monkeypatch.setattr(replica, "REFRESH_SECONDS", 4.0)
    monkeypatch.setattr(replica, "MISSING_SECONDS", 8.0)
    monkeypatch.setattr(replica, "MISSING_AFTER_RESET_SECONDS", 4.0)


def check(url: str | None, examples: int, steps: int) -> None:
    machine = type("Machine", (PresenceMachine,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            # No shrinking: it takes minutes. The steps are printed as they are.
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("short_intervals")
def test_presence_follows_the_model(store_url: str | None) -> None:
    check(store_url, examples=10, steps=30)


@pytest.mark.soak
@pytest.mark.usefixtures("short_intervals")
def test_presence_follows_the_model_for_long(store_url: str | None) -> None:
    check(store_url, examples=1000, steps=50)
