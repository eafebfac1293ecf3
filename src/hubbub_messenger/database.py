"""The database: SQLite on one machine or PostgreSQL under many nodes, behind the same three transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Final

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from hubbub import ConfigurationError

_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_PRAGMAS: Final = (
    "busy_timeout = 5000",  # milliseconds; first, so that it already covers the switch to WAL
    "journal_mode = WAL",  # readers do not wait for a writer
    "synchronous = NORMAL",  # with WAL: a power cut may lose the last commits, never the database
    "foreign_keys = ON",  # off by default, for reasons of SQLite's history
)
#: Any number that nothing else in the same PostgreSQL database uses as an advisory lock.
_STARTUP_LOCK: Final = 0x48554242


class Database:
    """Holds the pool of connections and hands out transactions.

    A transaction is a context manager, so that a reader of the code sees where it is committed: ``notify`` comes after
    that line, never before.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 10}
        if self._is_sqlite:
            # sqlite3 opens its transactions by guessing from the statement; here BEGIN is ours.
            options = {"connect_args": {"isolation_level": None}}
        self.engine = create_async_engine(parsed, **options)
        if self._is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _set_pragmas)
            event.listen(self.engine.sync_engine, "begin", _begin)
        writer = self.engine.execution_options(writes=True)
        self._reading = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writing = async_sessionmaker(writer, expire_on_commit=False)
        # SQLite has one writer. Waiting here is fair and quick, where SQLite itself would poll.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self._is_sqlite else nullcontext()

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Opens a transaction that changes nothing."""
        return self._reading()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Opens a transaction that is committed at the end of the block, or rolled back by an exception."""
        async with self._turn, self._writing.begin() as transaction:
            yield transaction

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[AsyncSession]:
        """Opens a writing transaction that no two nodes are in at the same time: for what is done once at start-up."""
        async with self.writing() as transaction:
            if not self._is_sqlite:
                await transaction.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTUP_LOCK})
            yield transaction

    async def ping(self) -> None:
        """Asks the database for a sign of life; raises what the driver raises when there is none."""
        async with self.reading() as transaction:
            await transaction.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


def parse_url(url: str) -> URL:
    """Reads a database URL and names the asynchronous driver; raises ConfigurationError where it cannot work."""
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=_DRIVERS[parsed.get_backend_name()])
    except (ArgumentError, KeyError):
        raise ConfigurationError(
            "HUBBUB_DATABASE_URL: expected sqlite:///path/to/file.db or postgresql://user:password@host/database"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "HUBBUB_DATABASE_URL: a SQLite database in memory has room for one connection only; "
            "name a file, such as sqlite:///./hubbub.db"
        )
    query = dict(parsed.query)
    if "sslmode" in query:  # libpq's word, in the URLs that hosting services hand out; asyncpg says ssl
        query["ssl"] = query.pop("sslmode")
    return parsed.set(query=query)


def _set_pragmas(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: one that first reads and then writes could not wait for another writer.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
