"""Add a user who can log in: `python -m hubbub_messenger.add_user erin "Erin Gray"`."""

from __future__ import annotations

import asyncio
import getpass
import sys

from sqlalchemy import select

from hubbub_messenger.database import Database
from hubbub_messenger.ids import new_id
from hubbub_messenger.migrations import migrate
from hubbub_messenger.models import User
from hubbub_messenger.schemas import Credentials
from hubbub_messenger.security import hash_password
from hubbub_messenger.settings import Settings


async def add_user(database: Database, credentials: Credentials, display_name: str) -> User | None:
    """Add a user and return it, or None if the username is taken."""
    password_hash = await hash_password(credentials.password)
    async with database.exclusive() as transaction:
        if await transaction.scalar(select(User).where(User.username == credentials.username)) is not None:
            return None
        user = User(id=new_id(), username=credentials.username, display_name=display_name, password_hash=password_hash)
        transaction.add(user)
    return user


async def main(username: str, display_name: str, password: str) -> str | None:
    """Add a user to the configured database. Return an error message, or None on success."""
    database = Database(Settings().database_url)
    try:
        await migrate(database)
        user = await add_user(database, Credentials(username=username, password=password), display_name)
    finally:
        await database.close()
    return None if user else f"the username {username} is taken"


def read_password() -> str:
    """Read the password from the terminal or from a pipe. Arguments would be visible to every user of the machine."""
    return getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit('usage: python -m hubbub_messenger.add_user USERNAME ["DISPLAY NAME"]')
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[-1], read_password())))
