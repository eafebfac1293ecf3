from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from hubbub import ConfigurationError
from hubbub_messenger.database import Database, parse_url
from hubbub_messenger.models import User


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def name_of_alice(database: Database) -> str:
    async with database.reading() as transaction:
        return (await transaction.scalars(select(User.display_name).filter_by(id="alice"))).one()


async def test_a_writing_transaction_commits_at_the_end_of_its_block(database: Database) -> None:
    async with database.writing() as transaction:
        await transaction.execute(update(User).filter_by(id="alice").values(display_name="Alicia"))

    assert await name_of_alice(database) == "Alicia"


async def test_an_exception_rolls_a_transaction_back(database: Database) -> None:
    with suppress(LookupError):
        async with database.writing() as transaction:
            await transaction.execute(update(User).filter_by(id="alice").values(display_name="Alicia"))
            raise LookupError

    assert await name_of_alice(database) == "Alice"


async def test_references_are_checked(database: Database) -> None:
    orphan = text("INSERT INTO members (conversation_id, user_id, joined_at) VALUES (:c, 'alice', '2030-01-01')")

    with pytest.raises(IntegrityError):
        async with database.writing() as transaction:
            await transaction.execute(orphan, {"c": "0" * 32})


async def test_transactions_that_read_and_then_write_do_not_lose_updates(database: Database) -> None:
    async def add_a_letter() -> None:
        async with database.exclusive() as transaction:
            user = (await transaction.scalars(select(User).filter_by(id="alice"))).one()
            await asyncio.sleep(0)
            user.display_name += "!"

    await asyncio.gather(*(add_a_letter() for _ in range(20)))

    assert await name_of_alice(database) == "Alice" + "!" * 20


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    async with database.writing() as transaction:
        await transaction.execute(update(User).filter_by(id="alice").values(display_name="Alicia"))
        async with asyncio.timeout(4):  # seconds: less than SQLite would wait for a lock
            assert await name_of_alice(database) == "Alice"


async def test_a_time_is_read_back_in_utc(database: Database) -> None:
    noon_in_berlin = datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))
    async with database.writing() as transaction:
        await transaction.execute(update(User).filter_by(id="alice").values(last_seen_at=noon_in_berlin))

    async with database.reading() as transaction:
        stored = (await transaction.scalars(select(User.last_seen_at).filter_by(id="alice"))).one()

    assert stored == datetime(2030, 1, 31, 11, tzinfo=UTC)
    assert stored.tzinfo is UTC


async def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="expected a time with a time zone"):
        async with database.writing() as transaction:
            await transaction.execute(update(User).values(last_seen_at=datetime(2030, 1, 31)))


async def test_sqlite_has_the_settings_that_a_server_needs(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    async with database.reading() as transaction:
        modes = [await transaction.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "busy_timeout")]
    await database.close()

    assert modes == ["wal", 5000]


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///a.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////tmp/a.db", "sqlite+aiosqlite"),
        ("postgresql://me@host/a", "postgresql+asyncpg"),
        ("postgres://me@host/a", "postgresql+asyncpg"),
        ("postgresql+psycopg2://me@host/a", "postgresql+asyncpg"),
    ],
)
def test_the_driver_need_not_be_named(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


def test_the_urls_of_hosting_services_work() -> None:
    url = parse_url("postgres://me@host/a?sslmode=require&application_name=hubbub")

    assert dict(url.query) == {"ssl": "require", "application_name": "hubbub"}


@pytest.mark.parametrize("url", ["", "hubbub.db", "mysql://host/a", "sqlite://", "sqlite:///:memory:"])
def test_a_database_that_cannot_work_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"HUBBUB_DATABASE_URL: .*sqlite:///"):
        parse_url(url)
