from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from hubbub import PresenceState, Unavailable, mint_token

JSON = {"Content-Type": "application/json"}
LIMIT = 256 * 1024


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here."""
    return sqlite_url


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert (problem["type"], problem["status"]) == ("about:blank", answer.status_code)
    return problem


@pytest.mark.parametrize(
    ("method", "url", "status", "title"),
    [
        ("GET", "/nowhere", 404, "Not Found"),
        ("GET", "/api/conversations/", 404, "Not Found"),
        ("PUT", "/api/me", 405, "Method Not Allowed"),
        ("GET", "/api/users?limit=0", 422, "Unprocessable Content"),
        ("POST", "/api/conversations", 422, "Unprocessable Content"),
        ("GET", "/api/users/zed", 404, "Not Found"),
    ],
)
async def test_every_error_is_a_problem(
    alice: httpx.AsyncClient, method: str, url: str, status: int, title: str
) -> None:
    answer = await alice.request(method, url)

    assert answer.status_code == status
    assert problem_of(answer)["title"] == title


async def test_a_405_lists_the_allowed_methods(alice: httpx.AsyncClient) -> None:
    assert (await alice.put("/api/me")).headers["allow"] == "GET"


async def test_a_401_says_how_to_authenticate(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/me")

    assert problem_of(answer)["status"] == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_bug_is_a_problem_without_details(
    app: FastAPI, alice: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub_messenger.conversations.list_conversations", None)

    answer = await alice.get("/api/conversations")

    assert problem_of(answer) == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


async def test_an_unavailable_dependency_is_a_503(
    app: FastAPI, alice: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def presence(user_ids: list[str]) -> list[PresenceState]:
        raise Unavailable("presence cannot be read")

    monkeypatch.setattr(app.state.gateway, "presence", presence)

    answer = await alice.get("/api/presence", params={"userId": "alice"})

    assert problem_of(answer)["status"] == 503


async def test_each_wrong_field_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/session", json={"username": 7})

    assert problem_of(answer)["errors"] == [
        {"location": "body", "pointer": "/username", "detail": "Input should be a valid string"},
        {"location": "body", "pointer": "/password", "detail": "Field required"},
    ]


async def test_the_input_is_not_echoed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/session", json={"username": "alice", "password": ["hunter2"]})

    assert answer.status_code == 422
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 30_000, id="deep"),
        pytest.param(b'{"a":' * 30_000 + b"1" + b"}" * 30_000, id="deep and closed"),
        pytest.param(b'{"username": ' + b"9" * 5000 + b"}", id="a huge number"),
    ],
)
async def test_a_body_that_is_not_json_is_a_bad_request(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post("/api/session", content=content, headers=JSON)

    assert answer.status_code == 400
    problem_of(answer)


@pytest.mark.parametrize(
    "content", [b'{"username": "alice", "password": NaN}', rb'{"username": "\ud800", "password": "x"}', b"null"]
)
async def test_json_of_the_wrong_kind_cannot_be_processed(client: httpx.AsyncClient, content: bytes) -> None:
    answer = await client.post("/api/session", content=content, headers=JSON)

    assert answer.status_code == 422
    problem_of(answer)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_another_media_type_is_not_supported(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/api/session", content=b"{}", headers={"Content-Type": media_type})

    assert answer.status_code == 415
    assert problem_of(answer)["detail"] == "Send the body as application/json."


async def test_json_with_a_charset_is_json(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = await client.post("/api/session", content=b'{"username":"bob","password":"bob"}', headers=headers)

    assert answer.status_code == 200


async def test_a_body_as_long_as_allowed_is_read(client: httpx.AsyncClient) -> None:
    content = b'{"username":"bob","password":"bob"}'.ljust(LIMIT)

    assert (await client.post("/api/session", content=content, headers=JSON)).status_code == 200


async def test_a_body_that_declares_too_much_is_refused_unread(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/session", content=b" " * (LIMIT + 1), headers=JSON)

    assert answer.status_code == 413
    assert problem_of(answer)["detail"] == "The body is too long: at most 262144 bytes are accepted."


async def test_a_body_without_a_length_is_read_up_to_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * LIMIT:
            sent += 8192
            yield b" " * 8192

    answer = await client.post("/api/session", content=endless(), headers=JSON)

    assert answer.status_code == 413
    problem_of(answer)
    assert sent <= LIMIT + 2 * 8192


async def test_an_unexpected_body_is_ignored(client: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {mint_token('alice')}"}

    assert (await client.request("GET", "/api/me", json={"ignored": True}, headers=headers)).status_code == 200
