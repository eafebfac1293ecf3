"""What a connection listens to, through gaps: nobody misses anything without being owed a resync."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hubbub.redis.subscriptions import LINGER_SECONDS, Listening, State, Wait

A, B = b"a", b"b"


def connected() -> Listening:
    listening = Listening()
    listening.is_up = True
    return listening


def confirmed(*channels: bytes) -> Listening:
    listening = connected()
    for channel in channels:
        listening.want(channel, channel.decode())
    for channel in listening.requests():
        listening.confirmed(channel)
    return listening


def test_what_is_wanted_is_asked_for_once() -> None:
    listening = connected()
    wanted = [listening.want(A, "a"), listening.want(A, "a"), listening.want(B, "b")]

    assert wanted == [False, False, False]
    assert listening.requests() == [A, B]
    assert listening.requests() == []


def test_what_is_confirmed_needs_no_wait() -> None:
    assert confirmed(A).want(A, "a")


def test_a_wait_ends_with_the_last_confirmation() -> None:
    listening, ended = connected(), []
    for channel in (A, B):
        listening.want(channel, "x")
    listening.wait([A, B], lambda: ended.append(True))
    listening.requests()

    listening.confirmed(B)
    assert ended == []
    listening.confirmed(A)
    assert ended == [True]


def test_a_wait_for_what_is_confirmed_ends_at_once() -> None:
    ended: list[bool] = []
    confirmed(A).wait([A], lambda: ended.append(True))

    assert ended == [True]


def test_nobody_waits_for_a_connection_that_is_away_and_is_owed_instead() -> None:
    listening = Listening()

    assert listening.want(A, "a")
    listening.is_up = True
    assert listening.requests() == [A]
    assert listening.confirmed(A)


def test_a_lost_connection_ends_waits_and_everything_is_owed() -> None:
    listening, ended = confirmed(A), []
    listening.want(B, "b")
    listening.wait([B], lambda: ended.append(True))
    listening.down()

    assert ended == [True]
    assert sorted(listening.requests()) == [A, B]
    assert listening.confirmed(A)
    assert listening.confirmed(B)


def test_what_took_too_long_is_owed() -> None:
    listening, ended = connected(), []
    listening.want(A, "a")
    wait = listening.wait([A], lambda: ended.append(True))
    listening.requests()
    listening.give_up(wait)

    assert ended == [True]
    assert listening.confirmed(A)
    assert ended == [True]


def test_what_nobody_wants_is_ended_after_a_while() -> None:
    listening = confirmed(A, B)
    listening.unwant(A, 10.0)

    assert listening.expired(10.0 + LINGER_SECONDS / 2) == []
    assert listening.expired(10.0 + LINGER_SECONDS) == [A]
    assert A not in listening


def test_what_is_wanted_again_in_time_stays() -> None:
    listening = confirmed(A)
    listening.unwant(A, 10.0)

    assert listening.want(A, "a")
    assert listening.expired(100.0) == []
    assert listening.state(A) is State.CONFIRMED


def test_what_was_never_asked_for_is_forgotten_at_once() -> None:
    listening = connected()
    listening.want(A, "a")
    listening.unwant(A, 10.0)

    assert listening.requests() == []


def test_what_is_not_confirmed_yet_is_not_ended() -> None:
    listening = connected()
    listening.want(A, "a")
    listening.requests()
    listening.unwant(A, 10.0)

    assert listening.expired(100.0) == []
    listening.confirmed(A)
    assert listening.expired(100.0) == [A]


def test_what_the_server_ends_is_owed_and_waits_to_be_placed() -> None:
    listening = confirmed(A)

    assert listening.ended(A)
    assert listening.requests() == []
    listening.again()
    assert listening.requests() == [A]
    assert listening.confirmed(A)


def test_the_answer_to_our_own_request_ends_nothing() -> None:
    listening = confirmed(A)
    listening.unwant(A, 0.0)
    listening.expired(10.0)
    listening.want(A, "a")
    listening.requests()

    assert not listening.ended(A)
    assert not listening.confirmed(A)
    assert listening.state(A) is State.CONFIRMED


def test_what_another_connection_takes_over_is_given_up() -> None:
    listening = confirmed(A, B)
    listening.unwant(B, 0.0)

    assert listening.surrender([A, B]) == [(A, "a")]
    assert listening.channels() == []


class Model(RuleBasedStateMachine):
    """A server that confirms in order, connections that come and go, and listeners who know what they were promised."""

    def __init__(self) -> None:
        super().__init__()
        self.listening = Listening()
        self.now = 0.0
        self.commands: list[tuple[str, bytes]] = []  # on their way to the server
        self.answers: list[tuple[str, bytes]] = []  # on their way back
        self.served: set[bytes] = set()  # what the server sends
        self.relying: set[bytes] = set()  # who was told that nothing is missed
        self.missing: set[bytes] = set()  # of these, who may have missed something since, and was not told
        self.waits: list[tuple[Wait, set[bytes], list[bool]]] = []

    channels: Any = st.sampled_from([A, B, b"c"])

    @rule(channel=channels)
    def want(self, channel: bytes) -> None:
        if self.listening.want(channel, channel.decode()):
            self._rely(channel)
        else:
            ended: list[bool] = []
            wait = self.listening.wait([channel], lambda: ended.append(True))
            self.waits.append((wait, {channel}, ended))
            self._look_at_waits()

    @rule(channel=channels)
    def unwant(self, channel: bytes) -> None:
        if not any(channel in channels for _, channels, _ in self.waits):
            self.listening.unwant(channel, self.now)
            self.relying.discard(channel)
            self.missing.discard(channel)

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.listening.is_up)
    @rule()
    def send(self) -> None:
        self.commands += [("end", channel) for channel in self.listening.expired(self.now)]
        self.commands += [("begin", channel) for channel in self.listening.requests()]

    @precondition(lambda self: self.commands)
    @rule()
    def serve(self) -> None:
        kind, channel = self.commands.pop(0)
        (self.served.add if kind == "begin" else self.served.discard)(channel)
        self.answers.append((kind, channel))
        self._look_at_gaps()

    @precondition(lambda self: self.answers)
    @rule()
    def hear(self) -> None:
        kind, channel = self.answers.pop(0)
        if kind == "end":
            self.listening.ended(channel)
        elif self.listening.confirmed(channel):
            self.missing.discard(channel)
        self._look_at_waits()

    @precondition(lambda self: self.waits)
    @rule()
    def give_up(self) -> None:
        self.listening.give_up(self.waits[0][0])
        self._look_at_waits()

    @precondition(lambda self: self.listening.is_up)
    @rule()
    def lose(self) -> None:
        self.listening.down()
        self.commands, self.answers, self.served = [], [], set()
        self._look_at_waits()
        self._look_at_gaps()

    @precondition(lambda self: not self.listening.is_up)
    @rule()
    def connect(self) -> None:
        self.listening.is_up = True

    def _rely(self, channel: bytes) -> None:
        self.relying.add(channel)
        self._look_at_gaps()

    def _look_at_waits(self) -> None:
        for entry in list(self.waits):
            _, channels, ended = entry
            if ended:
                self.waits.remove(entry)
                for channel in channels:
                    self._rely(channel)

    def _look_at_gaps(self) -> None:
        self.missing |= self.relying - self.served

    @invariant()
    def who_is_missing_something_will_be_told(self) -> None:
        for channel in self.missing:
            assert self.listening.state(channel) is not None
            entry = self.listening._entries[channel]
            assert entry.is_owed
            assert entry.state is not State.CONFIRMED

    def teardown(self) -> None:
        """In the end everything comes up, and nobody is left who was not told."""
        self.listening.is_up = True
        while self.listening._wanted or self.commands or self.answers:
            self.send()
            while self.commands:
                self.serve()
            while self.answers:
                self.hear()
        assert not self.missing
        assert not self.waits
        assert self.relying <= self.served


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
