from __future__ import annotations

from datetime import datetime

import httpx


async def test_a_user_has_a_name_and_no_secrets(alice: httpx.AsyncClient) -> None:
    user = (await alice.get("/api/me")).json()

    assert set(user) == {"id", "username", "displayName", "createdAt"}
    assert (user["id"], user["username"], user["displayName"]) == ("alice", "alice", "Alice")


async def test_times_are_utc_to_the_millisecond(alice: httpx.AsyncClient) -> None:
    created_at = (await alice.get("/api/me")).json()["createdAt"]

    assert created_at.endswith("Z")
    assert len(created_at) == len("2030-01-31T12:00:00.000Z")
    assert datetime.fromisoformat(created_at).tzinfo is not None


async def test_every_user_can_read_a_profile(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    assert (await alice.get("/api/users/bob")).json() == (await bob.get("/api/me")).json()


async def test_an_unknown_user_is_not_found(alice: httpx.AsyncClient) -> None:
    assert (await alice.get("/api/users/zed")).status_code == 404


async def test_users_are_found_by_part_of_a_name(alice: httpx.AsyncClient) -> None:
    expected = {
        "": ["alice", "bob", "carol", "dave"],
        "a": ["alice", "carol", "dave"],
        "CAR": ["carol"],
        "Bob": ["bob"],
        "%": [],
        "_": [],
        "\\": [],
    }

    answers = {query: await alice.get("/api/users", params={"query": query}) for query in expected}

    assert {query: [user["id"] for user in answer.json()] for query, answer in answers.items()} == expected


async def test_a_search_returns_at_most_the_limit(alice: httpx.AsyncClient) -> None:
    answer = await alice.get("/api/users", params={"limit": 2})

    assert [user["id"] for user in answer.json()] == ["alice", "bob"]


async def test_an_invalid_search_is_refused(alice: httpx.AsyncClient) -> None:
    for url in ("/api/users?query=%00", "/api/users/%00", "/api/users?limit=0", "/api/users?query=" + "x" * 65):
        assert (url, (await alice.get(url)).status_code) == (url, 422)
