"""Draft the next revision: the difference between `models.py` and the existing revisions."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from hubbub_messenger.database import Database
from hubbub_messenger.migrations import config, upgrade


def draft(connection: Connection) -> None:
    """Compare the models with an upgraded database, and write a revision for a person to review."""
    upgrade(connection)
    settings = config(connection)
    number = len(list(ScriptDirectory.from_config(settings).walk_revisions())) + 1
    command.revision(settings, " ".join(sys.argv[1:]), autogenerate=True, rev_id=f"{number:04}")


async def main() -> None:
    """Draft a revision with the help of a temporary database."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'draft.db'}")
        async with database.writing() as transaction:
            await (await transaction.connection()).run_sync(draft)
        await database.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit('usage: python -m hubbub_messenger.migrations "what changes"')
    asyncio.run(main())
