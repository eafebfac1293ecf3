"""How publications are encoded and decoded, and what the codec refuses."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.brokers.base import Publication
from hubbub.brokers.codec import (
    MAX_BYTES,
    USERS_PER_COPY,
    BadPublication,
    Duplicates,
    Fault,
    PublicationIds,
    decode,
    encode,
    split,
)
from hubbub.contract.topics import Interest, Topic

ID = bytes(range(16))
NEWS = Topic("conversation", "news")
GOOD = encode(Publication("server.x.y", b"frame", (NEWS,), ("alice",), metadata=b"metadata"), ID)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
topics = st.builds(Topic, texts, texts)
publications = st.builds(
    Publication,
    type=texts,
    frame=st.binary(max_size=300),
    topics=st.lists(topics, max_size=4).map(tuple),
    users=st.lists(texts, max_size=40).map(tuple),
    exclude=st.none() | texts,
    metadata=st.binary(max_size=50),
)


@given(publications, st.binary(min_size=16, max_size=16))
def test_decoding_returns_what_was_encoded(publication: Publication, id: bytes) -> None:
    data = encode(publication, id)

    assert decode(data, None) == (publication, id)
    interests: list[Interest] = [*publication.topics, *publication.users]
    for interest in interests:
        assert decode(data, interest) == (publication, id)


@given(publications, st.binary(max_size=20))
def test_appended_bytes_become_the_end_of_the_metadata(publication: Publication, end: bytes) -> None:
    data = encode(publication, ID, appended=len(end)) + end

    assert decode(data, None)[0].metadata == publication.metadata + end


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda noise: GOOD[:5] + noise))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(BadPublication):
        decode(data, NEWS)


@given(st.integers(0, len(GOOD) - 1))
def test_a_truncated_publication_is_refused(length: int) -> None:
    with pytest.raises(BadPublication):
        decode(GOOD[:length], NEWS)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (pickle.dumps({"type": "server.x.y"}), Fault.NO_MAGIC),
        (b"", Fault.NO_MAGIC),
        (GOOD[:4] + b"\x00" + GOOD[5:], Fault.UNKNOWN_VERSION),
        (GOOD[:4] + b"\x02" + GOOD[5:], Fault.UNKNOWN_VERSION),
        (GOOD[:20], Fault.WRONG_LENGTH),
        (GOOD[:-1], Fault.WRONG_LENGTH),
        (GOOD + b"x", Fault.WRONG_LENGTH),
        (GOOD[:21] + b"\xff\xff\xff\xff" + GOOD[25:], Fault.WRONG_LENGTH),
        (GOOD[:33] + b"\xc1" + GOOD[34:], Fault.BAD_HEADER),
        (GOOD + bytes(MAX_BYTES), Fault.TOO_BIG),
        (encode(Publication("server.x.y", b"", (Topic("conversation", "other"),), ("bob",)), ID), Fault.WRONG_CHANNEL),
        (encode(Publication("server.x.y", b"", (), ()), ID), Fault.WRONG_CHANNEL),
    ],
)
def test_the_error_names_the_fault(data: bytes, fault: Fault) -> None:
    with pytest.raises(BadPublication) as raised:
        decode(data, NEWS)

    assert raised.value.fault is fault


def test_a_publication_too_big_to_decode_is_not_encoded() -> None:
    with pytest.raises(BadPublication, match="at most 65536"):
        encode(Publication("server.x.y", bytes(MAX_BYTES), (NEWS,), ()), ID)


def test_a_user_id_that_is_not_utf_8_is_not_encoded() -> None:
    with pytest.raises(BadPublication, match="UTF-8"):
        encode(Publication("server.x.y", b"", (), ("\ud800",)), ID)


def test_ids_are_unique() -> None:
    one, other = PublicationIds(), PublicationIds()

    assert len({source.next() for source in (one, other) for _ in range(1000)}) == 2000


def test_a_duplicate_has_the_same_id_and_channel() -> None:
    duplicates = Duplicates()

    assert [duplicates.seen(ID, matched) for matched in (NEWS, "alice", NEWS)] == [False, False, True]


def test_duplicates_remember_a_bounded_number() -> None:
    duplicates = Duplicates(size=2)

    assert [duplicates.seen(bytes([number]), NEWS) for number in (1, 2, 3, 1, 3)] == [False, False, False, False, True]


@given(publications)
def test_the_parts_of_a_publication_reach_each_interest_once(publication: Publication) -> None:
    copies = list(split(publication))

    reached = [interest for _, interests in copies for interest in interests]
    assert sorted(map(repr, reached)) == sorted(map(repr, {*publication.topics, *publication.users}))
    for part, interests in copies:
        assert {*interests} <= {*part.topics, *part.users}
        assert part.topics == publication.topics
        assert len(part.users) <= max(USERS_PER_COPY, len(publication.users) if len(copies) == 1 else 0)
