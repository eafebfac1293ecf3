from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update

from hubbub import PresenceState
from hubbub_messenger.models import User

LUNCH = datetime(2030, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here. `test_realtime.py` covers presence on both."""
    return sqlite_url


async def presence_of(client: httpx.AsyncClient, *user_ids: str) -> list[dict[str, Any]]:
    answer = await client.get("/api/presence", params={"userId": user_ids})
    assert answer.status_code == 200
    states: list[dict[str, Any]] = answer.json()
    return states


async def store_last_seen(app: FastAPI, user_id: str, at: datetime) -> None:
    async with app.state.database.writing() as transaction:
        await transaction.execute(update(User).filter_by(id=user_id).values(last_seen_at=at))


def announce(app: FastAPI, monkeypatch: pytest.MonkeyPatch, status: Any, last_seen_at: datetime | None) -> None:
    async def presence(user_ids: Iterable[str]) -> list[PresenceState]:
        return [PresenceState(user_id, status, last_seen_at) for user_id in user_ids]

    monkeypatch.setattr(app.state.gateway, "presence", presence)


async def test_a_user_who_never_connected_is_offline(alice: httpx.AsyncClient) -> None:
    assert await presence_of(alice, "bob") == [{"userId": "bob", "status": "offline"}]


async def test_statuses_are_in_the_order_of_the_query(alice: httpx.AsyncClient) -> None:
    states = await presence_of(alice, "dave", "bob", "zed", "alice", "bob")

    assert [state["userId"] for state in states] == ["dave", "bob", "alice"]


async def test_when_a_user_was_seen_survives_a_restart(app: FastAPI, alice: httpx.AsyncClient) -> None:
    await store_last_seen(app, "bob", LUNCH)

    assert await presence_of(alice, "bob") == [
        {"userId": "bob", "status": "offline", "lastSeenAt": "2030-01-31T12:00:00.000Z"}
    ]


@pytest.mark.parametrize(
    ("status", "announced", "shown"),
    [
        ("online", None, None),
        ("away", LUNCH + timedelta(hours=1), "2030-01-31T13:00:00.000Z"),
        ("offline", LUNCH + timedelta(hours=1), "2030-01-31T13:00:00.000Z"),
        ("offline", LUNCH - timedelta(hours=1), "2030-01-31T12:00:00.000Z"),
        ("offline", None, "2030-01-31T12:00:00.000Z"),
    ],
)
async def test_the_later_of_the_announced_and_the_stored_time_is_shown(
    app: FastAPI,
    alice: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    announced: datetime | None,
    shown: str | None,
) -> None:
    await store_last_seen(app, "bob", LUNCH)
    announce(app, monkeypatch, status, announced)

    (state,) = await presence_of(alice, "bob")

    assert state["status"] == status
    assert state.get("lastSeenAt") == shown


@pytest.mark.parametrize("query", ["", "userId=", "userId=%00", "&".join(f"userId=u{n}" for n in range(101))])
async def test_invalid_queries_are_refused(alice: httpx.AsyncClient, query: str) -> None:
    assert (await alice.get(f"/api/presence?{query}")).status_code == 422


PERSON = [
    ("POST", "/api/conversations"),
    ("POST", "/api/conversations/{id}/messages"),
    ("DELETE", "/api/conversations/{id}/members/me"),
]
CLIENT = [
    ("POST", "/api/conversations/{id}/read"),
    ("GET", "/api/conversations/{id}/messages"),
    ("GET", "/api/conversations"),
    ("GET", "/api/me"),
    ("POST", "/api/session/renew"),
]


@pytest.mark.parametrize(("calls", "is_activity"), [(PERSON, True), (CLIENT, False)])
async def test_only_actions_of_a_person_are_activity(
    app: FastAPI,
    bob: httpx.AsyncClient,
    conversation: str,
    monkeypatch: pytest.MonkeyPatch,
    calls: list[tuple[str, str]],
    is_activity: bool,
) -> None:
    message = (await bob.post(f"/api/conversations/{conversation}/messages", json={"body": "!"})).json()
    json = {"memberIds": ["alice"], "body": "!", "messageId": message["id"]}
    touched: list[str] = []
    monkeypatch.setattr(app.state.gateway, "touch", touched.append)

    for method, url in calls:
        answer = await bob.request(method, url.format(id=conversation), json=json if method == "POST" else None)
        assert answer.is_success

    assert touched == (["bob"] * len(calls) if is_activity else [])
