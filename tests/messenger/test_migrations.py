from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, text

from hubbub_messenger.database import Database
from hubbub_messenger.migrations import config, migrate
from hubbub_messenger.models import Base

from .postgres import Postgres

_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    return postgres.create(name)


async def tables_of(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))


async def test_an_empty_database_gets_every_table(empty_url: str) -> None:
    database = Database(empty_url)
    await migrate(database)

    assert await tables_of(database) == {*Base.metadata.tables, "alembic_version"}
    await database.close()


async def test_the_revisions_match_the_models(empty_url: str) -> None:
    database = Database(empty_url)
    await migrate(database)

    async with database.writing() as transaction:
        connection = await transaction.connection()
        await connection.run_sync(lambda sync: command.check(config(sync)))  # raises if they differ
    await database.close()


async def test_many_nodes_may_start_together(empty_url: str) -> None:
    nodes = [Database(empty_url) for _ in range(4)]

    await asyncio.gather(*map(migrate, nodes))

    async with nodes[0].reading() as transaction:
        assert (await transaction.scalars(text("SELECT version_num FROM alembic_version"))).all() == ["0001"]
    for node in nodes:
        await node.close()


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade_and_fail(connection: Connection) -> None:
        command.upgrade(config(connection), "head")
        raise RuntimeError("the last revision had a bug")

    monkeypatch.setattr("hubbub_messenger.migrations.upgrade", upgrade_and_fail)
    database = Database(empty_url)
    with pytest.raises(RuntimeError):
        await migrate(database)

    assert await tables_of(database) == set()
    await database.close()


async def test_every_revision_can_be_downgraded(empty_url: str) -> None:
    database = Database(empty_url)
    await migrate(database)
    async with database.writing() as transaction:
        connection = await transaction.connection()
        await connection.run_sync(lambda sync: command.downgrade(config(sync), "base"))

    assert await tables_of(database) == {"alembic_version"}
    await database.close()
