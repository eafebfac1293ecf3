from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI

from hubbub_messenger.app import create_app

from .conftest import development


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Which database it is makes no difference here."""
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
