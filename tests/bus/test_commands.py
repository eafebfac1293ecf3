"""Commands to all nodes: they round-trip, and no withdrawal is lost while the broker is down."""

from __future__ import annotations

import logging

import msgspec
import pytest

from hubbub.brokers.base import Publication
from hubbub.brokers.memory import MemoryBroker
from hubbub.bus.commands import Command, Commands, Disconnect, Revoke, Touch, decode_command, encode_command
from hubbub.contract.topics import Topic
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome

TOPIC = Topic("conversation", "c")
ALL: list[Command] = [Disconnect("alice"), Disconnect("alice", "phone"), Revoke("alice", TOPIC), Touch("alice")]


@pytest.mark.parametrize("command", ALL)
def test_a_command_round_trips_and_is_addressed_to_the_users_nodes(command: Command) -> None:
    publication = encode_command(command)

    assert decode_command(publication) == command
    assert publication.users == ("alice",)


def test_a_revocation_is_also_addressed_to_the_topic() -> None:
    assert encode_command(Revoke("alice", TOPIC)).topics == (TOPIC,)


@pytest.mark.parametrize("metadata", [b"", b"\x80", b"\xc1", msgspec.msgpack.encode({"type": "Explode"})])
def test_an_invalid_command_is_refused(metadata: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_command(msgspec.structs.replace(encode_command(Touch("alice")), metadata=metadata))


def make_commands(broker: MemoryBroker, stats: Stats | None = None, applied: list[Command] | None = None) -> Commands:
    apply = (applied if applied is not None else list[Command]()).append
    return Commands(broker, stats or Stats(), {Disconnect: apply, Revoke: apply, Touch: apply})


class UnavailableBroker(MemoryBroker):
    """Drops every publication while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = True
        self.accepted: list[Command] = []

    def publish(self, publication: Publication) -> Outcome:
        if self.is_down:
            return Outcome.DROPPED
        self.accepted.append(decode_command(publication))
        return Outcome.ACCEPTED


async def test_a_withdrawal_is_retried_until_the_broker_accepts_it() -> None:
    broker = UnavailableBroker()
    commands = make_commands(broker)
    assert await commands.broadcast(Disconnect("alice")) is Outcome.DROPPED
    assert await commands.broadcast(Revoke("alice", TOPIC)) is Outcome.DROPPED

    commands.retry()
    assert broker.accepted == []
    broker.is_down = False
    commands.retry()
    commands.retry()

    assert broker.accepted == [Disconnect("alice"), Revoke("alice", TOPIC)]


async def test_a_best_effort_command_is_not_retried() -> None:
    broker = UnavailableBroker()
    commands = make_commands(broker)
    commands.send_best_effort(Touch("alice"))

    broker.is_down = False
    commands.retry()

    assert broker.accepted == []


async def test_unsent_commands_are_limited_and_a_lost_one_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hubbub.bus.commands.MAX_UNSENT", 2)
    broker, stats = UnavailableBroker(), Stats()
    commands = make_commands(broker, stats)
    with caplog.at_level(logging.CRITICAL):
        for user in ("alice", "bob", "carol"):
            await commands.broadcast(Disconnect(user))

    broker.is_down = False
    commands.retry()

    assert broker.accepted == [Disconnect("bob"), Disconnect("carol")]
    assert stats.errors["command_lost"] == 1
    assert "lost" in caplog.text


async def test_a_command_is_applied_locally_even_while_the_broker_is_down() -> None:
    applied: list[Command] = []
    await make_commands(UnavailableBroker(), applied=applied).broadcast(Disconnect("alice"))

    assert applied == [Disconnect("alice")]


def test_a_received_command_is_applied_and_not_delivered_to_sockets() -> None:
    applied: list[Command] = []
    commands = make_commands(MemoryBroker(), applied=applied)

    assert commands.receive(encode_command(Revoke("alice", TOPIC))) is False
    assert applied == [Revoke("alice", TOPIC)]


def test_an_unknown_command_from_a_newer_node_is_counted_and_ignored() -> None:
    stats, applied = Stats(), list[Command]()
    commands = make_commands(MemoryBroker(), stats, applied)
    newer = msgspec.structs.replace(
        encode_command(Touch("alice")), metadata=msgspec.msgpack.encode({"type": "Explode"})
    )

    assert commands.receive(newer) is False
    assert (applied, stats.errors["bad_command"]) == ([], 1)
