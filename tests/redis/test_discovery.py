"""Which server holds which bucket, and how commands are grouped by bucket."""

from __future__ import annotations

import pytest

from hubbub.backoff import Backoff
from hubbub.contract.topics import Topic
from hubbub.redis.channels import BUCKETS, Channels, slot_of
from hubbub.redis.connection import UnusableServer
from hubbub.redis.discovery import parse_slots
from hubbub.redis.resp import NAMES_PER_COMMAND, SHARDED, redis_command

SLOTS = [
    [0, 5460, [b"10.0.0.1", 7000, b"id1", []], [b"10.0.0.4", 7003, b"id4", []]],
    [5461, 10922, [b"10.0.0.2", 7001, b"id2"]],
    [10923, 16383, [None, 7002, b"id3"]],
]


def test_each_bucket_is_at_the_primary_of_its_slot() -> None:
    placement = parse_slots(SLOTS, "asked.example")

    assert len(placement) == BUCKETS
    for bucket, address in enumerate(placement):
        first, last = {
            ("10.0.0.1", 7000): (0, 5460),
            ("10.0.0.2", 7001): (5461, 10922),
            ("asked.example", 7002): (10923, 16383),
        }[address or ("", 0)]
        assert first <= slot_of(bucket) <= last


def test_a_cluster_without_all_slots_is_refused() -> None:
    with pytest.raises(UnusableServer, match="has no server"):
        parse_slots(SLOTS[:2], "asked.example")


def test_a_command_is_encoded_for_redis() -> None:
    assert redis_command(b"GET", b"k\r\n") == b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n"
    assert SHARDED.publish(b"c", b"data") == redis_command(b"SPUBLISH", b"c", b"data")


def test_channels_of_one_bucket_share_a_command_and_others_do_not() -> None:
    channels = Channels()
    one, other = channels.probe(1, "x"), channels.probe(2, "x")
    another = channels.probe(1, "y")

    assert SHARDED.subscribe([one, other, another]) == redis_command(b"SSUBSCRIBE", one, another) + redis_command(
        b"SSUBSCRIBE", other
    )
    assert SHARDED.unsubscribe([]) == b""


def test_a_command_names_a_bounded_number_of_channels() -> None:
    topics = [Channels().of(Topic("user", "x")) + b"%d" % number for number in range(NAMES_PER_COMMAND + 1)]

    assert SHARDED.subscribe(topics).count(b"SSUBSCRIBE") == 2


def test_the_backoff_grows_to_a_maximum_and_can_be_reset() -> None:
    backoff = Backoff(first=1.0, maximum=8.0)
    waits = [backoff.next() for _ in range(20)]
    backoff.reset()

    for wait, bound in zip(waits, [1.0, 2.0, 4.0, *[8.0] * 17], strict=True):
        assert bound / 10 <= wait <= bound
    assert backoff.next() <= 1.0
