"""Channel names: one per interest, in the same bucket as the keys that a script uses with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from hubbub.contract.topics import Interest, Topic, is_valid_id
from hubbub.errors import ConfigurationError
from hubbub.redis.channels import BUCKETS, Channels, bucket_of, slot_of

CHANNELS = Channels()
ids = st.text(min_size=1, max_size=128).filter(is_valid_id)
interests: st.SearchStrategy[Interest] = ids | st.builds(
    Topic, st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), ids
)


@given(interests)
def test_a_channel_name_yields_its_interest(interest: Interest) -> None:
    channel = CHANNELS.of(interest)

    assert CHANNELS.interest(channel) == interest
    assert CHANNELS.bucket(channel) == bucket_of(interest)


@given(interests, interests)
def test_no_two_interests_share_a_channel(one: Interest, other: Interest) -> None:
    assert (CHANNELS.of(one) == CHANNELS.of(other)) == (one == other)


@given(ids)
def test_a_user_and_their_topic_share_a_bucket(user: str) -> None:
    assert bucket_of(user) == bucket_of(Topic("user", user))


def test_conversations_are_spread_over_the_buckets() -> None:
    assert len({bucket_of(Topic("conversation", str(number))) for number in range(5000)}) == BUCKETS


@given(interests)
def test_all_names_of_a_bucket_share_its_slot(interest: Interest) -> None:
    assert key_slot(CHANNELS.of(interest)) == slot_of(bucket_of(interest))


def test_the_broadcast_channel_and_probe_channels_are_not_interests() -> None:
    assert CHANNELS.interest(CHANNELS.all) is None
    assert CHANNELS.interest(CHANNELS.probe(7, "x")) is None
    assert CHANNELS.bucket(CHANNELS.probe(7, "x")) == 7


def test_a_channel_in_a_wrong_bucket_is_refused() -> None:
    wrong = (bucket_of("alice") + 1) % BUCKETS

    with pytest.raises(ValueError, match="not the channel of alice"):
        CHANNELS.interest(f"hubbub:{{b{wrong}}}:u:alice".encode())


@pytest.mark.parametrize("prefix", ["", "a{b}c", "a b", "x" * 65])
def test_a_prefix_that_would_break_hash_tags_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        Channels(prefix)
