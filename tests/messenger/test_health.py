from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from hubbub import ConfigurationError, mint_token
from hubbub_messenger.app import create_app

from .conftest import development

TOKEN = "a-token-for-the-scraper-alone"
PRODUCTION: dict[str, Any] = {"environment": "production", "secret": SecretStr("k" * 32)}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here."""
    return sqlite_url


async def test_a_running_node_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_without_the_bus_a_node_is_alive_but_not_ready(app: FastAPI, client: httpx.AsyncClient) -> None:
    await app.state.gateway.stop()

    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200


async def test_without_the_bus_rest_still_works(
    app: FastAPI, alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    await app.state.gateway.stop()

    answer = await alice.post(f"/api/conversations/{conversation}/messages", json={"body": "Anybody there?"})

    assert answer.status_code == 201
    assert (await bob.get(f"/api/conversations/{conversation}/messages")).json()["messages"] == [answer.json()]
    assert (await alice.delete("/api/session")).status_code == 204


async def test_without_the_database_a_node_is_alive_but_not_ready() -> None:
    app = create_app(development("postgresql://postgres@/nowhere?host=/nonexistent"))
    await app.state.gateway.start()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hubbub.test") as client:
        answer = await client.get("/readyz")
        alive = await client.get("/healthz")
    await app.state.gateway.stop()

    assert (answer.status_code, answer.json()["detail"]) == (503, "The database does not answer.")
    assert alive.status_code == 200


@asynccontextmanager
async def serving(database_url: str, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an app with these settings. Its lifespan does not run."""
    app = create_app(development(database_url, **changes))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hubbub.test") as client:
        yield client


async def test_in_development_anyone_can_read_the_metrics(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert families["hubbub_ready"].samples[0].value == 1
    assert {"hubbub_sockets", "process_open_fds", "process_resident_memory_bytes", "python_info"} <= set(families)


async def test_a_scraper_may_ask_for_openmetrics(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize("credentials", [None, f"Bearer {TOKEN}"])
async def test_in_production_there_are_no_metrics_until_a_token_is_set(
    database_url: str, credentials: str | None
) -> None:
    async with serving(database_url, **PRODUCTION) as client:
        answer = await client.get("/metrics", headers={} if credentials is None else {"Authorization": credentials})

    assert answer.status_code == 404
    assert "hubbub_" not in answer.text


@pytest.mark.parametrize("environment", ["production", "development"])
async def test_a_scraper_with_the_token_reads_the_metrics(database_url: str, environment: str) -> None:
    async with serving(database_url, **PRODUCTION | {"environment": environment}, metrics_token=TOKEN) as client:
        answer = await client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"})

    assert (answer.status_code, "hubbub_sockets 0" in answer.text) == (200, True)


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("credentials", [None, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "ü"])
async def test_a_wrong_or_missing_token_is_refused(
    database_url: str, environment: str, credentials: str | None
) -> None:
    headers = [] if credentials is None else [(b"Authorization", credentials.encode("latin-1"))]
    async with serving(database_url, **PRODUCTION | {"environment": environment}, metrics_token=TOKEN) as client:
        answer = await client.get("/metrics", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "hubbub_" not in answer.text


async def test_a_users_session_cannot_read_the_metrics(database_url: str) -> None:
    async with serving(database_url, **PRODUCTION, metrics_token=TOKEN) as client:
        token = mint_token("alice", key="k" * 32)
        answer = await client.get("/metrics", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401


def test_a_token_that_could_be_guessed_is_refused(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="HUBBUB_METRICS_TOKEN"):
        development(database_url, metrics_token=SecretStr("short"))
