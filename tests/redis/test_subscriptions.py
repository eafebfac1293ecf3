"""Subscriptions of a connection across gaps: a listener that misses something gets a resync."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.redis.subscriptions import LINGER_SECONDS, ChannelSubscriptions, Confirmation, SubscriptionState

A, B = b"a", b"b"


def connected() -> ChannelSubscriptions:
    subscriptions = ChannelSubscriptions()
    subscriptions.is_up = True
    return subscriptions


def confirmed(*channels: bytes) -> ChannelSubscriptions:
    subscriptions = connected()
    for channel in channels:
        subscriptions.subscribe(channel, channel.decode())
    for channel in subscriptions.requests():
        subscriptions.confirmed(channel)
    return subscriptions


def test_a_subscription_is_requested_once() -> None:
    subscriptions = connected()
    needs_no_wait = [subscriptions.subscribe(A, "a"), subscriptions.subscribe(A, "a"), subscriptions.subscribe(B, "b")]

    assert needs_no_wait == [False, False, False]
    assert subscriptions.requests() == [A, B]
    assert subscriptions.requests() == []


def test_a_confirmed_subscription_needs_no_wait() -> None:
    assert confirmed(A).subscribe(A, "a")


def test_a_wait_ends_with_the_last_confirmation() -> None:
    subscriptions, ended = connected(), []
    for channel in (A, B):
        subscriptions.subscribe(channel, "x")
    subscriptions.wait([A, B], lambda: ended.append(True))
    subscriptions.requests()

    subscriptions.confirmed(B)
    assert ended == []
    subscriptions.confirmed(A)
    assert ended == [True]


def test_waiting_for_a_confirmed_channel_ends_at_once() -> None:
    ended: list[bool] = []
    confirmed(A).wait([A], lambda: ended.append(True))

    assert ended == [True]


def test_subscribing_while_disconnected_needs_no_wait_but_a_resync() -> None:
    subscriptions = ChannelSubscriptions()

    assert subscriptions.subscribe(A, "a")
    subscriptions.is_up = True
    assert subscriptions.requests() == [A]
    assert subscriptions.confirmed(A)


def test_a_lost_connection_ends_waits_and_every_channel_needs_a_resync() -> None:
    subscriptions, ended = confirmed(A), []
    subscriptions.subscribe(B, "b")
    subscriptions.wait([B], lambda: ended.append(True))
    subscriptions.down()

    assert ended == [True]
    assert sorted(subscriptions.requests()) == [A, B]
    assert subscriptions.confirmed(A)
    assert subscriptions.confirmed(B)


def test_a_channel_needs_a_resync_after_a_timeout() -> None:
    subscriptions, ended = connected(), []
    subscriptions.subscribe(A, "a")
    wait = subscriptions.wait([A], lambda: ended.append(True))
    subscriptions.requests()
    subscriptions.time_out(wait)

    assert ended == [True]
    assert subscriptions.confirmed(A)
    assert ended == [True]


def test_an_unused_subscription_expires_after_a_while() -> None:
    subscriptions = confirmed(A, B)
    subscriptions.unsubscribe(A, 10.0)

    assert subscriptions.expired(10.0 + LINGER_SECONDS / 2) == []
    assert subscriptions.expired(10.0 + LINGER_SECONDS) == [A]
    assert A not in subscriptions


def test_subscribing_again_in_time_keeps_the_subscription() -> None:
    subscriptions = confirmed(A)
    subscriptions.unsubscribe(A, 10.0)

    assert subscriptions.subscribe(A, "a")
    assert subscriptions.expired(100.0) == []
    assert subscriptions.state(A) is SubscriptionState.CONFIRMED


def test_a_subscription_never_requested_is_forgotten_at_once() -> None:
    subscriptions = connected()
    subscriptions.subscribe(A, "a")
    subscriptions.unsubscribe(A, 10.0)

    assert subscriptions.requests() == []


def test_an_unconfirmed_subscription_does_not_expire() -> None:
    subscriptions = connected()
    subscriptions.subscribe(A, "a")
    subscriptions.requests()
    subscriptions.unsubscribe(A, 10.0)

    assert subscriptions.expired(100.0) == []
    subscriptions.confirmed(A)
    assert subscriptions.expired(100.0) == [A]


def test_a_channel_that_the_server_ends_needs_a_resync_and_waits_for_resubscribe() -> None:
    subscriptions = confirmed(A)

    assert subscriptions.ended(A)
    assert subscriptions.requests() == []
    subscriptions.resubscribe()
    assert subscriptions.requests() == [A]
    assert subscriptions.confirmed(A)


def test_the_answer_to_our_own_unsubscribe_ends_nothing() -> None:
    subscriptions = confirmed(A)
    subscriptions.unsubscribe(A, 0.0)
    subscriptions.expired(10.0)
    subscriptions.subscribe(A, "a")
    subscriptions.requests()

    assert not subscriptions.ended(A)
    assert not subscriptions.confirmed(A)
    assert subscriptions.state(A) is SubscriptionState.CONFIRMED


def test_transferred_channels_are_removed() -> None:
    subscriptions = confirmed(A, B)
    subscriptions.unsubscribe(B, 0.0)

    assert subscriptions.transfer([A, B]) == [(A, "a")]
    assert subscriptions.channels() == []


class Model(RuleBasedStateMachine):
    """A server that confirms in order, a connection that fails and returns, and listeners that expect no silent gap."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = ChannelSubscriptions()
        self.now = 0.0
        self.commands: list[tuple[str, bytes]] = []  # on their way to the server
        self.answers: list[tuple[str, bytes]] = []  # on their way back
        self.served: set[bytes] = set()  # what the server delivers
        self.relying: set[bytes] = set()  # listeners that expect to miss nothing
        self.missing: set[bytes] = set()  # those that may have missed something, without a resync so far
        self.waits: list[tuple[Confirmation, set[bytes], list[bool]]] = []

    channels: Any = st.sampled_from([A, B, b"c"])

    @rule(channel=channels)
    def subscribe(self, channel: bytes) -> None:
        if self.subscriptions.subscribe(channel, channel.decode()):
            self._rely(channel)
        else:
            ended: list[bool] = []
            wait = self.subscriptions.wait([channel], lambda: ended.append(True))
            self.waits.append((wait, {channel}, ended))
            self._check_waits()

    @rule(channel=channels)
    def unsubscribe(self, channel: bytes) -> None:
        if not any(channel in channels for _, channels, _ in self.waits):
            self.subscriptions.unsubscribe(channel, self.now)
            self.relying.discard(channel)
            self.missing.discard(channel)

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.subscriptions.is_up)
    @rule()
    def send(self) -> None:
        self.commands += [("end", channel) for channel in self.subscriptions.expired(self.now)]
        self.commands += [("begin", channel) for channel in self.subscriptions.requests()]

    @precondition(lambda self: self.commands)
    @rule()
    def serve_command(self) -> None:
        kind, channel = self.commands.pop(0)
        (self.served.add if kind == "begin" else self.served.discard)(channel)
        self.answers.append((kind, channel))
        self._check_gaps()

    @precondition(lambda self: self.answers)
    @rule()
    def receive_answer(self) -> None:
        kind, channel = self.answers.pop(0)
        if kind == "end":
            self.subscriptions.ended(channel)
        elif self.subscriptions.confirmed(channel):
            self.missing.discard(channel)
        self._check_waits()

    @precondition(lambda self: self.waits)
    @rule()
    def time_out(self) -> None:
        self.subscriptions.time_out(self.waits[0][0])
        self._check_waits()

    @precondition(lambda self: self.subscriptions.is_up)
    @rule()
    def lose(self) -> None:
        self.subscriptions.down()
        self.commands, self.answers, self.served = [], [], set()
        self._check_waits()
        self._check_gaps()

    @precondition(lambda self: not self.subscriptions.is_up)
    @rule()
    def connect(self) -> None:
        self.subscriptions.is_up = True

    def _rely(self, channel: bytes) -> None:
        self.relying.add(channel)
        self._check_gaps()

    def _check_waits(self) -> None:
        for entry in list(self.waits):
            _, channels, ended = entry
            if ended:
                self.waits.remove(entry)
                for channel in channels:
                    self._rely(channel)

    def _check_gaps(self) -> None:
        self.missing |= self.relying - self.served

    @invariant()
    def a_listener_with_a_gap_will_get_a_resync(self) -> None:
        for channel in self.missing:
            assert self.subscriptions.state(channel) is not None
            assert self.subscriptions.needs_resync(channel)
            assert self.subscriptions.state(channel) is not SubscriptionState.CONFIRMED

    def teardown(self) -> None:
        """Connect again, process everything, and assert that no resync is missing."""
        self.subscriptions.is_up = True
        self.send()
        while self.commands or self.answers:
            while self.commands:
                self.serve_command()
            while self.answers:
                self.receive_answer()
            self.send()
        assert not self.missing
        assert not self.waits
        assert self.relying <= self.served


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
