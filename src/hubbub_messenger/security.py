"""Passwords, and who may speak for a cookie."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

from fastapi import HTTPException, Request
from pwdlib import PasswordHash

from hubbub import Handshake, OriginPolicy

_passwords: Final = PasswordHash.recommended()  # argon2id: 64 MiB and some 50 ms for each guess
_threads: Final = ThreadPoolExecutor(4, "passwords")  # so many guesses at a time, and so much memory at most
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def hash_password(password: str) -> str:
    """Hashes a password for storage, in a thread: the event loop has sockets to serve meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _passwords.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Tells whether a password is right; takes as long where there is no such user, so that names cannot be probed."""

    def verify() -> bool:
        return _passwords.verify(password, password_hash or nobodys_hash())

    return await asyncio.get_running_loop().run_in_executor(_threads, verify)


@cache
def nobodys_hash() -> str:
    """Gives the hash of a password that nobody knows; made once, at start-up."""
    return _passwords.hash(secrets.token_urlsafe())


def refuse_foreign_origin(request: Request) -> None:
    """Refuses with 403 a change that a page of another site asks for with the visitor's cookie (CSRF).

    Browsers name the page in Origin whenever they change something; what comes without it is no browser, or is held
    back by SameSite=Lax. The rule is that of the socket: the allowed origins, or without any the request's own host.
    """
    if request.method in _SAFE_METHODS or "origin" not in request.headers:
        return
    policy: OriginPolicy = request.app.state.origins
    refusal = policy.refusal(Handshake(path=request.url.path, headers=request.headers.items()))
    if refusal is not None:
        raise HTTPException(403, f"{refusal}: that page may not use the cookie of this site.")
