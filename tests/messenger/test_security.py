from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from hubbub import mint_token
from hubbub_messenger.app import create_app
from hubbub_messenger.security import hash_password, verify_password

from .conftest import development
from .serving import running

FOREIGN = "https://evil.example"
START = {"method": "POST", "url": "/api/conversations", "json": {"memberIds": ["bob"]}}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here."""
    return sqlite_url


@pytest.fixture
async def browser(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser in which alice is logged in."""
    client.cookies.set("hubbub_session", mint_token("alice"))
    return client


async def start(client: httpx.AsyncClient, *origins: str) -> int:
    headers = [("Origin", origin) for origin in origins]
    answer = await client.post("/api/conversations", json={"memberIds": ["bob"]}, headers=headers)
    return answer.status_code


@pytest.mark.parametrize(
    "origin", ["http://hubbub.test", "https://hubbub.test", "HTTP://HUBBUB.TEST", "http://hubbub.test:80"]
)
async def test_a_page_of_the_same_host_may_write(browser: httpx.AsyncClient, origin: str) -> None:
    assert await start(browser, origin) == 201


async def test_a_client_that_is_not_a_browser_needs_no_origin(browser: httpx.AsyncClient) -> None:
    assert await start(browser) == 201


@pytest.mark.parametrize(
    "origin",
    [
        FOREIGN,
        "null",
        "",
        "http://hubbub.test.evil.example",
        "http://hubbub.test:8080",
        "http://evil.example:http://hubbub.test",
        "http://hubbub.test:99999999",
        "hubbub.test",
    ],
)
async def test_a_foreign_page_may_not_use_the_cookie(browser: httpx.AsyncClient, origin: str) -> None:
    assert await start(browser, origin) == 403


async def test_two_origins_are_refused(browser: httpx.AsyncClient) -> None:
    assert await start(browser, "http://hubbub.test", "http://hubbub.test") == 403


async def test_another_scheme_of_authentication_does_not_hide_the_cookie(browser: httpx.AsyncClient) -> None:
    headers = {"Origin": FOREIGN, "Authorization": "Basic Zm9vOmJhcg=="}

    answer = await browser.post("/api/conversations", json={"memberIds": ["bob"]}, headers=headers)

    assert answer.status_code == 403


async def test_a_foreign_page_may_not_log_a_user_out(browser: httpx.AsyncClient) -> None:
    assert (await browser.delete("/api/session", headers={"Origin": FOREIGN})).status_code == 403


async def test_a_foreign_page_may_not_log_a_user_in(client: httpx.AsyncClient) -> None:
    credentials = {"username": "alice", "password": "alice"}

    answer = await client.post("/api/session", json=credentials, headers={"Origin": FOREIGN})

    assert answer.status_code == 403


async def test_reading_needs_no_origin(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/api/me", headers={"Origin": FOREIGN})).status_code == 200


async def test_a_bearer_token_is_accepted_from_any_origin(alice: httpx.AsyncClient) -> None:
    assert await start(alice, FOREIGN) == 201


@pytest.fixture
async def strict_browser(sqlite_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which alice is logged in, at a server that allows one origin only."""
    app = create_app(development(sqlite_url, allowed_origins=("https://chat.example",)))
    cookies = {"hubbub_session": mint_token("alice")}
    transport = httpx.ASGITransport(app)
    async with running(app), httpx.AsyncClient(transport=transport, base_url="http://api.test", cookies=cookies) as it:
        yield it


@pytest.mark.parametrize(("origin", "status"), [("https://chat.example", 201), ("http://api.test", 403)])
async def test_with_allowed_origins_the_own_host_must_be_listed_too(
    strict_browser: httpx.AsyncClient, origin: str, status: int
) -> None:
    assert await start(strict_browser, origin) == status


async def test_a_hash_matches_only_its_own_password() -> None:
    password_hash = await hash_password("correct horse")

    assert password_hash.startswith("$argon2id$")
    assert await verify_password("correct horse", password_hash)
    assert not await verify_password("battery staple", password_hash)
    assert not await verify_password("correct horse", None)
