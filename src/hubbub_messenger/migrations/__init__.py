"""The history of the tables, as Alembic revisions that travel inside the package.

After a change of ``models.py``, ``python -m hubbub_messenger.migrations "what changes"`` drafts the next revision.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from hubbub_messenger.database import Database


async def migrate(database: Database) -> None:
    """Brings the tables up to date, in one transaction: of many nodes that start together, one does it."""
    async with database.exclusive() as transaction:
        await (await transaction.connection()).run_sync(upgrade)


def upgrade(connection: Connection) -> None:
    """Runs the missing revisions on a connection, inside its transaction."""
    command.upgrade(config(connection), "head")


def config(connection: Connection) -> Config:
    """Tells Alembic where the revisions are and what to run them on, without an ini file."""
    settings = Config()
    settings.set_main_option("script_location", "hubbub_messenger:migrations")
    settings.attributes["connection"] = connection
    return settings
