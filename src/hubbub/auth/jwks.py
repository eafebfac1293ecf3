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

#: Seconds between two fetches, however many unknown keys are asked for: a stranger must not be able to make this server
#: flood the issuer. After a failed fetch the wait is shorter, since then nobody with a new key can connect.
FETCH_INTERVAL: Final = 60.0
RETRY_INTERVAL: Final = 10.0

#: Seconds after which known keys are fetched again in the background, so that a withdrawn key stops working.
REFRESH_INTERVAL: Final = 3600.0

#: Seconds one fetch may take; less than the time a handshake has.
FETCH_TIMEOUT: Final = 5.0

# Some issuers refuse the name that urllib gives by default.
_HEADERS: Final = {"User-Agent": "hubbub", "Accept": "application/json"}

Keys: TypeAlias = dict[tuple[str | None, str], Any]

logger = logging.getLogger("hubbub.auth")


class KeySet:
    """An issuer's keys by key id and algorithm. Belongs to one event loop.

    Keys that were fetched once stay usable while the issuer is unreachable. A key id is only ever looked up in a
    dictionary: nothing is fetched or opened by the name a token gives.

    Raises ConfigurationError where the URL is not http or https.
    """

    def __init__(self, url: str, algorithms: Sequence[str], clock: Clock) -> None:
        try:
            # It follows no redirects. Its own caches stay off: they belong to one thread and wait for the network.
            self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT, headers=_HEADERS)
        except PyJWKClientError as error:
            raise ConfigurationError(f"jwks_url cannot be used: {error}") from error
        self._algorithms = algorithms
        self._clock = clock
        self._keys: Keys = {}
        self._fetching: asyncio.Task[None] | None = None
        self._may_fetch_at = -inf
        self._refresh_at = inf

    def known(self, key_id: str | None, algorithm: str) -> Any | None:
        """Gives a key if it is here already, without waiting. Old keys start a refresh in the background."""
        if self._clock.monotonic() >= self._refresh_at:
            self._fetch_if_allowed()
        return self._keys.get((key_id, algorithm))

    async def find(self, key_id: str | None, algorithm: str) -> Any | None:
        """Gives a key, or None after asking the issuer; everyone who waits shares one fetch.

        Cancelling one who waits does not disturb the others. Does not wait where the last fetch is too recent.
        """
        self._fetch_if_allowed()
        if self._fetching is not None and not self._fetching.done():
            await asyncio.shield(self._fetching)
        return self._keys.get((key_id, algorithm))

    def _fetch_if_allowed(self) -> None:
        now = self._clock.monotonic()
        if now >= self._may_fetch_at:  # by then the last fetch has ended, by its timeout at the latest
            self._may_fetch_at = now + FETCH_INTERVAL
            self._fetching = asyncio.get_running_loop().create_task(self._fetch(), name="hubbub key fetch")

    async def _fetch(self) -> None:
        try:
            # The client's own timeout is per read: a server that sends a byte now and then would never end it.
            self._keys = await asyncio.wait_for(asyncio.to_thread(self._download), FETCH_TIMEOUT)
            self._refresh_at = self._clock.monotonic() + REFRESH_INTERVAL
        except (PyJWTError, OSError, ValueError, RecursionError) as error:
            self._may_fetch_at = self._clock.monotonic() + RETRY_INTERVAL
            reason = str(error) or type(error).__name__
            logger.warning("cannot fetch the keys at %s, %d stay in use: %s", self._client.uri, len(self._keys), reason)

    def _download(self) -> Keys:
        """Blocks: runs in a thread, and touches no state."""
        keys = dict(usable_keys(self._client.fetch_data(), self._algorithms))
        if not keys:
            raise ValueError(f"there is no key for {', '.join(self._algorithms)} in the document")
        return keys


def usable_keys(document: dict[str, Any], algorithms: Sequence[str]) -> Iterator[tuple[tuple[str | None, str], Any]]:
    """Picks the keys that fit a pinned algorithm; the others are none of our business (RFC 7517 section 5)."""
    keys = document.get("keys")
    for jwk in keys if isinstance(keys, list) else ():
        for algorithm in algorithms:
            if isinstance(jwk, dict) and _fits(jwk, algorithm):
                try:
                    key = PyJWK(jwk, algorithm).key
                except PyJWTError:
                    continue
                if get_algorithm_by_name(algorithm).check_key_length(key) is None:
                    yield (jwk.get("kid"), algorithm), key


def _fits(jwk: dict[str, Any], algorithm: str) -> bool:
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
        and "d" not in jwk  # a private key: whoever can read the document can sign with it
    )
