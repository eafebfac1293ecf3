"""The public keys of a token issuer, fetched from its JWKS document (RFC 7517)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, Final, TypeAlias

from jwt import PyJWK, PyJWKClient, PyJWKClientError, PyJWTError, get_algorithm_by_name

from hubbub.auth.keys import KEY_TYPES
from hubbub.clock import Clock
from hubbub.errors import ConfigurationError

FETCH_INTERVAL: Final = 60.0
"""Seconds between two fetches, no matter how many unknown keys are asked for. Otherwise an attacker could make this
server flood the issuer."""

RETRY_INTERVAL: Final = 10.0
"""Seconds between a failed fetch and the next. Shorter, because until it succeeds nobody with a new key can connect."""

REFRESH_INTERVAL: Final = 3600.0
"""Seconds after which the keys are fetched again in the background, so that a withdrawn key stops working."""

FETCH_TIMEOUT: Final = 5.0
"""Seconds that one fetch may take: less than a handshake may."""

# Some issuers refuse urllib's default User-Agent.
_HEADERS: Final = {"User-Agent": "hubbub", "Accept": "application/json"}

Keys: TypeAlias = dict[tuple[str | None, str], Any]

logger = logging.getLogger("hubbub.auth")


class KeySet:
    """An issuer's keys, by key id and algorithm. Belongs to one event loop.

    Fetched keys stay usable while the issuer is unreachable. A key id is only ever looked up in a dictionary: a token
    cannot name a URL or a file to load.

    Args:
        url: Address of the JWKS document.
        algorithms: The algorithms that the tokens may use.
        clock: Source of the time.

    Raises:
        ConfigurationError: If the URL is not http or https.
    """

    def __init__(self, url: str, algorithms: Sequence[str], clock: Clock) -> None:
        try:
            # PyJWKClient follows no redirects. Its own cache stays off: it is made for one thread that may block.
            self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT, headers=_HEADERS)
        except PyJWKClientError as error:
            raise ConfigurationError(f"jwks_url cannot be used: {error}") from error
        self._algorithms = algorithms
        self._clock = clock
        self._keys: Keys = {}
        self._fetch_task: asyncio.Task[None] | None = None
        self._next_fetch_at = -inf
        self._refresh_at = inf

    def get(self, key_id: str | None, algorithm: str) -> Any | None:
        """Return a key that was fetched before, or None, without waiting. Start a refresh if the keys are old."""
        if self._clock.monotonic() >= self._refresh_at:
            self._fetch_if_allowed()
        return self._keys.get((key_id, algorithm))

    async def get_or_fetch(self, key_id: str | None, algorithm: str) -> Any | None:
        """Return a key, or None if the issuer does not have it either.

        All callers share one fetch, and cancelling one of them does not cancel it. If the last fetch is too recent, no
        new one starts.
        """
        self._fetch_if_allowed()
        if self._fetch_task is not None and not self._fetch_task.done():
            await asyncio.shield(self._fetch_task)
        return self._keys.get((key_id, algorithm))

    def _fetch_if_allowed(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_fetch_at:  # by then the last fetch has ended, because of its timeout
            self._next_fetch_at = now + FETCH_INTERVAL
            self._fetch_task = asyncio.get_running_loop().create_task(self._fetch(), name="hubbub key fetch")

    async def _fetch(self) -> None:
        try:
            # The client's own timeout is per read: a server that sends a byte now and then would never trigger it.
            self._keys = await asyncio.wait_for(asyncio.to_thread(self._download), FETCH_TIMEOUT)
            self._refresh_at = self._clock.monotonic() + REFRESH_INTERVAL
        except (PyJWTError, OSError, ValueError, RecursionError) as error:
            self._next_fetch_at = self._clock.monotonic() + RETRY_INTERVAL
            reason = str(error) or type(error).__name__
            logger.warning("cannot fetch the keys at %s, %d stay in use: %s", self._client.uri, len(self._keys), reason)

    def _download(self) -> Keys:
        """Download the keys. This blocks, so it runs in a thread and changes no state."""
        keys = dict(usable_keys(self._client.fetch_data(), self._algorithms))
        if not keys:
            raise ValueError(f"the document has no key for {', '.join(self._algorithms)}")
        return keys


def usable_keys(document: dict[str, Any], algorithms: Sequence[str]) -> Iterator[tuple[tuple[str | None, str], Any]]:
    """Yield the keys that fit one of the algorithms, with their ids. Others are ignored (RFC 7517 section 5)."""
    keys = document.get("keys")
    for jwk in keys if isinstance(keys, list) else ():
        for algorithm in algorithms:
            if isinstance(jwk, dict) and _is_usable(jwk, algorithm):
                try:
                    key = PyJWK(jwk, algorithm).key
                except PyJWTError:
                    continue
                if get_algorithm_by_name(algorithm).check_key_length(key) is None:
                    yield (jwk.get("kid"), algorithm), key


def _is_usable(jwk: dict[str, Any], algorithm: str) -> bool:
    key_type, curve = KEY_TYPES[algorithm]
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("kty") == key_type
        and (curve is None or jwk.get("crv") == curve)
        and jwk.get("alg", algorithm) == algorithm
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(jwk.get("kid"), str | None)
        and "d" not in jwk  # a private key: everyone who can read the document could sign with it
    )
