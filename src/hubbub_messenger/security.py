"""Passwords, and protection of the cookie against pages of other sites."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from fastapi import HTTPException, Request
from pwdlib import PasswordHash

from hubbub import Handshake, OriginPolicy

_passwords: Final = PasswordHash.recommended()  # argon2id: 64 MiB and about 50 ms for each guess
_threads: Final = ThreadPoolExecutor(4, "passwords")  # bounds CPU and memory: four hashes at a time
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def hash_password(password: str) -> str:
    """Return the hash of a password. A thread computes it, so that the event loop keeps serving sockets."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _passwords.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether a password is right.

    Args:
        password: the guess.
        password_hash: the stored hash, or None if there is no such user. Both take equally long, so that response
            times do not reveal which usernames exist.
    """

    def verify() -> bool:
        return _passwords.verify(password, password_hash or dummy_hash())

    return await asyncio.get_running_loop().run_in_executor(_threads, verify)


@cache
def dummy_hash() -> str:
    """Return the hash of a random password. It is computed once, at start-up."""
    return _passwords.hash(secrets.token_urlsafe())


def refuse_foreign_origin(request: Request) -> None:
    """Refuse a write that a page of another site requests with the user's cookie (CSRF).

    Browsers send `Origin` with every write. A request without it does not come from a browser, or SameSite=Lax keeps
    the cookie away from it. The policy is the socket's: the allowed origins, or by default the request's own host.

    Raises:
        HTTPException: 403.
    """
    if request.method in _SAFE_METHODS or "origin" not in request.headers:
        return
    policy: OriginPolicy = request.app.state.origins
    refusal = policy.refusal(Handshake(path=request.url.path, headers=request.headers.items()))
    if refusal is not None:
        raise HTTPException(403, f"The cookie cannot be used from this page: {refusal}.")
