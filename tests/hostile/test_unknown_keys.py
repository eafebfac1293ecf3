"""Tokens with an unknown key id or with their own key, over real sockets: refused without fetching keys again."""

from __future__ import annotations

import asyncio

import pytest

from hubbub import JWTAuthenticator
from tests.auth.test_jwks import OTHER_RSA_KEY, Issuer, MovedClock, issuer, jwk, token
from tests.support import make_gateway, running
from tests.websocket import RawSocket

__all__ = ["issuer"]  # pytest finds a fixture by its name

AT_ONCE = 50


@pytest.fixture
def authenticate(issuer: Issuer) -> JWTAuthenticator:
    return JWTAuthenticator(jwks_url=issuer.url, algorithms=["RS256"], clock=MovedClock())


async def test_a_thousand_unknown_key_ids_are_refused_and_cost_one_fetch(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    gateway = make_gateway(authenticate=authenticate)
    free = asyncio.Semaphore(AT_ONCE)
    async with running(gateway) as server:

        async def connect(number: int) -> int | None:
            name, value = token(OTHER_RSA_KEY, f"unknown-{number}").headers[0]
            async with free, RawSocket.upgraded(server, f"{name}: {value}") as raw:
                return await raw.close_code()

        codes = await asyncio.gather(*map(connect, range(1000)))

    assert set(codes) == {4401}
    assert (gateway.stats.connects, gateway.stats.refusals) == (0, {"unauthorized": 1000})
    assert len(issuer.paths) == 1


async def test_keys_are_never_fetched_from_a_url_in_a_token(issuer: Issuer, authenticate: JWTAuthenticator) -> None:
    elsewhere = issuer.url.replace("jwks", "theirs")
    forged = token(OTHER_RSA_KEY, "key-1", jku=elsewhere, x5u=elsewhere, jwk=jwk(OTHER_RSA_KEY))
    async with running(make_gateway(authenticate=authenticate)) as server:
        name, value = forged.headers[0]
        async with RawSocket.upgraded(server, f"{name}: {value}") as raw:
            assert await raw.close_code() == 4401

    assert issuer.paths == ["/jwks.json"]
