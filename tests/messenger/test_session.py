from __future__ import annotations

import time
from datetime import datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import jwt
import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select

from hubbub import DEVELOPMENT_SECRET, mint_token
from hubbub_messenger.app import create_app
from hubbub_messenger.database import Database
from hubbub_messenger.models import RevokedSession
from hubbub_messenger.security import dummy_hash
from hubbub_messenger.timestamps import utc_now

from .conftest import development
from .serving import running

ALICE = {"username": "alice", "password": "alice"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here. `test_realtime.py` logs out on both."""
    return sqlite_url


def cookie_of(answer: httpx.Response) -> Morsel[str]:
    return SimpleCookie(answer.headers["set-cookie"])["hubbub_session"]


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, DEVELOPMENT_SECRET, ["HS256"])


async def log_in(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/api/session", json=ALICE)
    session: dict[str, Any] = answer.json()
    return session


async def test_logging_in_returns_a_token_for_twelve_hours(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/session", json=ALICE)

    session = answer.json()
    assert answer.status_code == 200
    assert set(session) == {"userId", "token", "expiresAt"}
    assert session["userId"] == "alice"
    assert claims(session["token"])["sub"] == "alice"
    assert claims(session["token"])["exp"] == datetime.fromisoformat(session["expiresAt"]).timestamp()
    assert claims(session["token"])["exp"] == pytest.approx(time.time() + 12 * 3600, abs=5)
    assert answer.headers["cache-control"] == "no-store"


async def test_logging_in_sets_a_cookie_that_scripts_and_foreign_forms_do_not_get(client: httpx.AsyncClient) -> None:
    cookie = cookie_of(await client.post("/api/session", json=ALICE))

    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) == pytest.approx(12 * 3600, abs=5)


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
async def test_the_cookie_is_secure_over_https(client: httpx.AsyncClient, scheme: str, is_secure: bool) -> None:
    cookie = cookie_of(await client.post(f"{scheme}://hubbub.test/api/session", json=ALICE))

    assert bool(cookie["secure"]) is is_secure


async def test_behind_a_proxy_that_hides_https_the_cookie_can_be_made_secure(sqlite_url: str) -> None:
    app = create_app(development(sqlite_url, secure_cookie=True))
    transport = httpx.ASGITransport(app)
    async with running(app), httpx.AsyncClient(transport=transport, base_url="http://hubbub.test") as client:
        answer = await client.post("/api/session", json=ALICE)

    assert cookie_of(answer)["secure"]


@pytest.mark.parametrize(
    "credentials", [{**ALICE, "password": "wrong"}, {**ALICE, "username": "nobody"}, {**ALICE, "username": "ALICE"}]
)
async def test_wrong_credentials_are_refused_in_the_same_words(
    client: httpx.AsyncClient, credentials: dict[str, str]
) -> None:
    answer = await client.post("/api/session", json=credentials)

    assert answer.status_code == 401
    assert answer.json()["detail"] == "The username or the password is wrong."
    assert answer.headers["www-authenticate"] == 'Bearer realm="hubbub"'
    assert "set-cookie" not in answer.headers


def test_an_unknown_username_takes_as_long_as_a_wrong_password() -> None:
    assert not Argon2Hasher().check_needs_rehash(dummy_hash())


async def test_the_cookie_alone_is_enough(client: httpx.AsyncClient) -> None:
    await log_in(client)

    assert (await client.get("/api/me")).json()["id"] == "alice"


async def test_the_bearer_token_alone_is_enough(client: httpx.AsyncClient) -> None:
    token = (await log_in(client))["token"]
    client.cookies.clear()

    answer = await client.get("/api/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.json()["id"] == "alice"


async def test_a_token_of_the_command_line_is_enough(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/me", headers={"Authorization": f"Bearer {mint_token('bob')}"})

    assert answer.json()["id"] == "bob"


async def test_a_cookie_and_a_header_with_different_tokens_are_refused(client: httpx.AsyncClient) -> None:
    await log_in(client)

    answer = await client.get("/api/me", headers={"Authorization": f"Bearer {mint_token('alice')}"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("nonsense", id="not a JWT"),
        pytest.param(mint_token("alice", key="x" * 32), id="another secret"),
        pytest.param(mint_token("alice", lifetime=-1), id="expired"),
        pytest.param(mint_token("zed"), id="no such user"),
        pytest.param(mint_token("alice", claims={"jti": None}), id="no session"),
        pytest.param(mint_token("alice", claims={"jti": "a\x00b"}), id="a session that no database can store"),
    ],
)
async def test_bad_tokens_are_refused(client: httpx.AsyncClient, token: str) -> None:
    answer = await client.get("/api/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert answer.json()["detail"] == "Log in first."


async def test_a_token_in_the_url_is_ignored(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/me", params={"token": mint_token("alice")})

    assert answer.status_code == 401


async def test_a_hostile_cookie_header_is_read_quickly(client: httpx.AsyncClient) -> None:
    started = time.process_time()

    answer = await client.get("/api/me", headers={"Cookie": 'hubbub_session="' + "\\" * 8000 + '"'})

    assert answer.status_code == 401
    assert time.process_time() - started < 0.1


async def test_an_unrelated_cookie_is_ignored(client: httpx.AsyncClient) -> None:
    cookies = f'theirs="a\\054b"; hubbub_session={mint_token("alice")}; empty='

    assert (await client.get("/api/me", headers={"Cookie": cookies})).status_code == 200


async def test_renewing_keeps_the_session_and_extends_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await log_in(client)
    in_an_hour = utc_now() + timedelta(hours=1)
    monkeypatch.setattr("hubbub_messenger.sessions.utc_now", lambda: in_an_hour)

    answer = await client.post("/api/session/renew")

    second = answer.json()
    assert answer.status_code == 200
    assert datetime.fromisoformat(second["expiresAt"]) == (in_an_hour + timedelta(hours=12)).replace(microsecond=0)
    assert claims(second["token"])["jti"] == claims(first["token"])["jti"]
    assert cookie_of(answer).value == second["token"]


async def test_renewing_never_shortens_a_session(client: httpx.AsyncClient) -> None:
    token = mint_token("alice", lifetime=30 * 24 * 3600)

    answer = await client.post("/api/session/renew", headers={"Authorization": f"Bearer {token}"})

    assert claims(answer.json()["token"])["exp"] == claims(token)["exp"]


async def test_logging_out_deletes_the_cookie(client: httpx.AsyncClient) -> None:
    await log_in(client)

    answer = await client.delete("/api/session")

    assert answer.status_code == 204
    assert cookie_of(answer).value == ""
    assert cookie_of(answer)["max-age"] == "0"


async def test_logging_out_revokes_every_token_of_the_session(client: httpx.AsyncClient) -> None:
    first = await log_in(client)
    second = (await client.post("/api/session/renew")).json()
    await client.delete("/api/session")
    client.cookies.clear()

    for token in (first["token"], second["token"]):
        answer = await client.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


async def test_logging_out_leaves_other_sessions_alone(client: httpx.AsyncClient, alice: httpx.AsyncClient) -> None:
    await log_in(client)

    await client.delete("/api/session")

    assert (await alice.get("/api/me")).status_code == 200


async def test_a_revoked_session_cannot_be_renewed(alice: httpx.AsyncClient) -> None:
    await alice.delete("/api/session")

    assert (await alice.post("/api/session/renew")).status_code == 401


async def test_logging_out_deletes_revocations_whose_tokens_have_expired(
    app: FastAPI, alice: httpx.AsyncClient
) -> None:
    database: Database = app.state.database
    async with database.writing() as transaction:
        transaction.add(RevokedSession(id="old", expires_at=utc_now() - timedelta(seconds=1)))
        transaction.add(RevokedSession(id="recent", expires_at=utc_now() + timedelta(hours=1)))

    await alice.delete("/api/session")

    async with database.reading() as transaction:
        kept = set(await transaction.scalars(select(RevokedSession.id)))
    assert "recent" in kept
    assert "old" not in kept
    assert len(kept) == 2


async def test_a_revocation_outlives_every_token_of_its_session(app: FastAPI, client: httpx.AsyncClient) -> None:
    token = mint_token("alice", lifetime=30 * 24 * 3600)

    await client.delete("/api/session", headers={"Authorization": f"Bearer {token}"})

    async with app.state.database.reading() as transaction:
        expires_at = await transaction.scalar(select(RevokedSession.expires_at))
    assert expires_at.timestamp() > claims(token)["exp"]


@pytest.mark.parametrize("call", [("DELETE", "/api/session"), ("POST", "/api/session/renew")])
async def test_only_a_session_can_be_renewed_or_ended(client: httpx.AsyncClient, call: tuple[str, str]) -> None:
    assert (await client.request(*call)).status_code == 401
