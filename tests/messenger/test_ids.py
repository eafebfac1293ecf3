from __future__ import annotations

from uuid import UUID

import pytest

from hubbub_messenger.ids import new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    for _ in range(100):
        assert (UUID(new_id()).version, UUID(new_id()).variant) == (7, "specified in RFC 4122")


def test_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


def test_a_later_id_sorts_behind_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1_000_000_000, 1_001_000_000])
    monkeypatch.setattr("hubbub_messenger.ids.time.time_ns", lambda: next(times))

    assert new_id() < new_id()


def test_an_id_sorts_behind_the_one_it_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    # The clock stands still, or is behind the clock of another node.
    monkeypatch.setattr("hubbub_messenger.ids.time.time_ns", lambda: 0)
    made = [new_id()]
    for _ in range(1000):
        made.append(new_id(after=made[-1]))

    assert sorted(made) == made
    assert UUID(made[-1]).version == 7
