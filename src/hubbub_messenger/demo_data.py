"""Demo users for development: alice, bob, carol and dave. The password of each is their username."""

from __future__ import annotations

import asyncio
from typing import Final

from hubbub_messenger.conversations import create_conversation, existing_users
from hubbub_messenger.database import Database
from hubbub_messenger.models import User
from hubbub_messenger.security import hash_password

DEMO_USERS: Final = ("alice", "bob", "carol", "dave")


async def add_demo_data(database: Database) -> None:
    """Add the demo users and one conversation of all four, if none of these users exists.

    Their ids are their usernames, so that `hubbub token alice` makes a token for one of them.
    """
    async with database.reading() as transaction:
        if await existing_users(transaction, DEMO_USERS):
            return
    hashes = await asyncio.gather(*map(hash_password, DEMO_USERS))
    async with database.exclusive() as transaction:
        if await existing_users(transaction, DEMO_USERS):  # another node was faster
            return
        transaction.add_all(
            User(id=name, username=name, display_name=name.capitalize(), password_hash=password_hash)
            for name, password_hash in zip(DEMO_USERS, hashes, strict=True)
        )
        await transaction.flush()
        await create_conversation(transaction, DEMO_USERS[0], DEMO_USERS, "Everyone")
