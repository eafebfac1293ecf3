"""The database: SQLite for one process or PostgreSQL for many nodes, with the same three kinds of transaction."""

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
    "busy_timeout = 5000",  # milliseconds; first, because it covers the switch to WAL as well
    "journal_mode = WAL",  # readers do not wait for a writer
    "synchronous = NORMAL",  # with WAL, a power cut may lose the last commits but never corrupts the database
    "foreign_keys = ON",  # SQLite's default is off
)
# The advisory lock of start-up. Any number works that nothing else in the same PostgreSQL database uses.
_STARTUP_LOCK: Final = 0x48554242


class Database:
    """The connection pool, which opens transactions.

    A transaction is a context manager, so that the code shows where it commits: `notify` belongs after that line,
    never before.

    Args:
        url: a SQLAlchemy URL of SQLite or PostgreSQL. The driver need not be named.

    Raises:
        ConfigurationError: the URL cannot work.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self._is_sqlite = parsed.get_backend_name() == "sqlite"
        options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 10}
        if self._is_sqlite:
            # By default the sqlite3 module decides from the statement when to begin. Here `_begin` does.
            options = {"connect_args": {"isolation_level": None}}
        self.engine = create_async_engine(parsed, **options)
        if self._is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _set_pragmas)
            event.listen(self.engine.sync_engine, "begin", _begin)
        writer = self.engine.execution_options(writes=True)
        self._reading = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writing = async_sessionmaker(writer, expire_on_commit=False)
        # SQLite has a single writer. This lock is fair and wakes at once; SQLite itself would poll.
        self._write_lock: AbstractAsyncContextManager[Any] = asyncio.Lock() if self._is_sqlite else nullcontext()

    def reading(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction that only reads."""
        return self._reading()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits at the end of the block. An exception rolls it back."""
        async with self._write_lock, self._writing.begin() as transaction:
            yield transaction

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[AsyncSession]:
        """Open a writing transaction that only one node at a time can be in: for work that is done once."""
        async with self.writing() as transaction:
            if not self._is_sqlite:
                await transaction.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _STARTUP_LOCK})
            yield transaction

    async def ping(self) -> None:
        """Check that the database answers. If not, the driver's own exception is raised."""
        async with self.reading() as transaction:
            await transaction.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def parse_url(url: str) -> URL:
    """Return a database URL with its asynchronous driver.

    Raises:
        ConfigurationError: the URL cannot work.
    """
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=_DRIVERS[parsed.get_backend_name()])
    except (ArgumentError, KeyError):
        raise ConfigurationError(
            "HUBBUB_DATABASE_URL: expected sqlite:///path/to/file.db or postgresql://user:password@host/database"
        ) from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "HUBBUB_DATABASE_URL: each connection to a SQLite database in memory would see a database of its own; "
            "name a file, such as sqlite:///./hubbub.db"
        )
    query = dict(parsed.query)
    if "sslmode" in query:  # hosting services provide URLs for libpq; asyncpg calls this option ssl
        query["ssl"] = query.pop("sslmode")
    return parsed.set(query=query)


def _set_pragmas(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once. One that reads first and then writes would fail if another writer came between.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
