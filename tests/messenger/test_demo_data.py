from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import func, select

from hubbub_messenger.app import create_app
from hubbub_messenger.database import Database
from hubbub_messenger.demo_data import add_demo_data
from hubbub_messenger.migrations import migrate
from hubbub_messenger.models import Conversation, User

from .conftest import development
from .serving import running


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The kind of database makes no difference here."""
    return sqlite_url


async def count_of(database: Database, table: type[User] | type[Conversation]) -> int | None:
    async with database.reading() as transaction:
        return await transaction.scalar(select(func.count()).select_from(table))


async def test_the_demo_users_share_a_conversation(alice: httpx.AsyncClient) -> None:
    (conversation,) = (await alice.get("/api/conversations")).json()

    assert conversation["title"] == "Everyone"
    assert [member["user"]["id"] for member in conversation["members"]] == ["alice", "bob", "carol", "dave"]


async def test_a_second_start_adds_nothing(app: FastAPI) -> None:
    database: Database = app.state.database

    await add_demo_data(database)

    assert await count_of(database, User) == 4
    assert await count_of(database, Conversation) == 1


async def test_nodes_that_start_together_add_them_once(tmp_path: object) -> None:
    nodes = [Database(f"sqlite:///{tmp_path}/demo.db") for _ in range(2)]
    await migrate(nodes[0])

    await asyncio.gather(*map(add_demo_data, nodes))

    assert await count_of(nodes[0], User) == 4
    for node in nodes:
        await node.close()


async def test_production_has_no_demo_users(tmp_path: object) -> None:
    url = f"sqlite:///{tmp_path}/production.db"
    app = create_app(development(url, environment="production", secret=SecretStr("s" * 32)))

    async with running(app):
        assert await count_of(app.state.database, User) == 0
