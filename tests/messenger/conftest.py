"""The messenger under test: each test gets a database with the demo data, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from hubbub import DEVELOPMENT_SECRET, Envelope, init_notifier, mint_token
from hubbub_messenger.app import create_app
from hubbub_messenger.database import Database
from hubbub_messenger.demo_data import add_demo_data
from hubbub_messenger.migrations import migrate
from hubbub_messenger.models import Base
from hubbub_messenger.settings import Settings

from .postgres import Postgres, run_postgres
from .serving import running

ClientFactory = Callable[[str], httpx.AsyncClient]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def seeded_postgres(postgres: Postgres) -> str:
    """The name of a database with the demo data, made once: hashing the passwords takes long."""
    prepare(postgres.create("hubbub"))
    copies = [f"CREATE TABLE seed.{name} AS TABLE {name};" for name in Base.metadata.tables]
    postgres.execute("CREATE SCHEMA seed;" + "".join(copies), "hubbub")
    return "hubbub"


@pytest.fixture(scope="session")
def seeded_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file to copy, made once for the same reason."""
    path = tmp_path_factory.mktemp("seeded") / "hubbub.db"
    prepare(f"sqlite:///{path}")
    return path


def prepare(url: str) -> None:
    async def migrate_and_seed() -> None:
        database = Database(url)
        try:
            await migrate(database)
            await add_demo_data(database)
        finally:
            await database.close()

    asyncio.run(migrate_and_seed())


@pytest.fixture
def sqlite_url(seeded_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "hubbub.db"
    shutil.copy(seeded_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres: Postgres, seeded_postgres: str) -> str:
    tables = [table.name for table in Base.metadata.sorted_tables]
    deletions = [f"DELETE FROM {name};" for name in reversed(tables)]  # faster than TRUNCATE for so few rows
    insertions = [f"INSERT INTO {name} SELECT * FROM seed.{name};" for name in tables]
    postgres.execute("".join(deletions + insertions), seeded_postgres)
    return postgres.url(seeded_postgres)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run each test on both databases. Modules that do not depend on the database override it."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


def development(database_url: str, **changes: Any) -> Settings:
    """Return settings for development, without a .env file."""
    values = {"environment": "development", "secret": SecretStr(DEVELOPMENT_SECRET), "database_url": database_url}
    return Settings(**{"_env_file": None, **values, **changes})


@pytest.fixture
def settings(database_url: str) -> Settings:
    return development(database_url)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    async with running(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is not logged in."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://hubbub.test") as client:
        yield client


@pytest.fixture
def as_user(app: FastAPI) -> ClientFactory:
    """Return clients that send the token of a user, as `hubbub token` prints it."""

    def make(user_id: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://hubbub.test",
            headers={"Authorization": f"Bearer {mint_token(user_id)}"},
        )

    return make


@pytest.fixture
def alice(as_user: ClientFactory) -> httpx.AsyncClient:
    return as_user("alice")


@pytest.fixture
def bob(as_user: ClientFactory) -> httpx.AsyncClient:
    return as_user("bob")


@pytest.fixture
def carol(as_user: ClientFactory) -> httpx.AsyncClient:
    return as_user("carol")


@pytest.fixture
def signals(app: FastAPI) -> list[tuple[str, dict[str, Any], list[str] | None]]:
    """What REST publishes: the name of each event, its payload, and the users it is addressed to."""
    published: list[tuple[str, dict[str, Any], list[str] | None]] = []

    def publish(event: Any, users: Any) -> None:
        envelope = event if isinstance(event, Envelope) else Envelope.of(event)
        payload = {name: getattr(envelope.data, name) for name in envelope.data.__struct_fields__}
        published.append((envelope.type, payload, None if users is None else sorted(users)))

    init_notifier(publish)
    return published


@pytest.fixture
async def conversation(alice: httpx.AsyncClient) -> str:
    """A conversation of alice and bob, without carol."""
    answer = await alice.post("/api/conversations", json={"memberIds": ["bob"]})
    id: str = answer.json()["id"]
    return id


async def say(client: httpx.AsyncClient, conversation: str, body: str = "Hello!") -> dict[str, Any]:
    """Send a message, and return it as REST does."""
    answer = await client.post(f"/api/conversations/{conversation}/messages", json={"body": body})
    assert answer.status_code == 201, answer.text
    message: dict[str, Any] = answer.json()
    return message
