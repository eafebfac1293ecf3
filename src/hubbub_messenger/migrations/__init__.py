"""The history of the tables: Alembic revisions, which are part of the package.

After a change of `models.py`, `python -m hubbub_messenger.migrations "what changes"` drafts the next revision.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from hubbub_messenger.database import Database


async def migrate(database: Database) -> None:
    """Upgrade the tables in one transaction. If many nodes start together, one of them does it."""
    async with database.exclusive() as transaction:
        await (await transaction.connection()).run_sync(upgrade)


def upgrade(connection: Connection) -> None:
    """Run the missing revisions in the transaction of a connection."""
    command.upgrade(config(connection), "head")


def config(connection: Connection) -> Config:
    """Return the configuration of Alembic for a connection. There is no ini file."""
    settings = Config()
    settings.set_main_option("script_location", "hubbub_messenger:migrations")
    settings.attributes["connection"] = connection
    return settings
