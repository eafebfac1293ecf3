"""Bad credentials over real sockets: accepted, closed with 4401 and never registered, and no token is logged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hubbub import Gateway, JWTAuthenticator
from hubbub.testing import Address
from tests.support import make_gateway, running
from tests.websocket import RawSocket

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "the shared secret of these tests, long enough"
NOW = int(time.time())  # when the tests were collected: the whole run may take many minutes
GOOD: dict[str, Any] = {"sub": "alice", "exp": NOW + 86_400, "iss": "https://issuer.example", "aud": "chat"}
HS256 = {"alg": "HS256", "typ": "JWT"}


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def token(payload: bytes, header: dict[str, Any] | None = None, key: bytes = SECRET.encode()) -> str:
    """Sign anything: libraries refuse to make most of these tokens."""
    signed = f"{encoded(json.dumps(header or HS256).encode())}.{encoded(payload)}"
    return f"{signed}.{encoded(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def claims(without: str = "", **changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if name != without}).encode()


OTHER_KEY = b"the key of somebody else, long enough as well"

BAD = {
    "alg none": token(claims(), {"alg": "none"}).rpartition(".")[0] + ".",
    "alg nOnE": token(claims(), {"alg": "nOnE"}).rpartition(".")[0] + ".",
    "a foreign signature": token(claims(), key=OTHER_KEY),
    "exp past": token(claims(exp=NOW - 1)),
    "no exp": token(claims(without="exp")),
    "exp NaN": token(claims(exp=float("nan"))),
    "exp 10^400": token(claims(exp=10**400)),
    "exp a string": token(claims(exp=str(NOW + 86_400))),
    "nbf future": token(claims(nbf=NOW + 86_400)),
    "wrong iss": token(claims(iss="https://other.example")),
    "iss substring": token(claims(iss="https://issuer")),
    "iss a list": token(claims(iss=["https://issuer.example"])),
    "no iss": token(claims(without="iss")),
    "wrong aud": token(claims(aud="shop")),
    "no aud": token(claims(without="aud")),
    "sub integer": token(claims(sub=5)),
    "sub empty": token(claims(sub="")),
    "sub with CRLF": token(claims(sub="alice\r\nbob")),
    "no sub": token(claims(without="sub")),
    "unknown crit": token(claims(), {"alg": "HS256", "crit": ["x"], "x": 1}),
    "kid that is a path": token(claims(), {"alg": "HS256", "kid": "../../dev/null"}, key=b""),
    "jku": token(claims(), {"alg": "HS256", "jku": "http://127.0.0.1:1/keys"}, key=OTHER_KEY),
    "claims nested 1,000 deep": token(claims()[:-1] + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "6 KiB": token(claims(x="y" * 4500)),
    "not an object": token(b"[]"),
    "garbage": "garbage",
}


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    authenticate = JWTAuthenticator(SECRET, algorithms=["HS256"], issuer=GOOD["iss"], audience=GOOD["aud"])
    return make_gateway(authenticate=authenticate, clock=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    async with running(gateway) as address:
        yield address


async def first_frame(server: Address, *headers: str, path: str = "/ws") -> tuple[int, bytes]:
    async with RawSocket.upgraded(server, *headers, path=path) as raw:
        return await raw.next_frame()


CLOSED_WITH_4401 = (8, struct.pack("!H", 4401) + b"unauthorized")


@pytest.mark.parametrize("place", ["header", "cookie"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_token_is_accepted_and_closed_with_4401(
    gateway: Gateway, server: Address, bad: str, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "hubbub")
    headers = [f"Authorization: Bearer {bad}"] if place == "header" else [f"Cookie: hubbub_session={bad}"]

    frame = await first_frame(server, *headers, f"Origin: {server.http}")

    assert frame == CLOSED_WITH_4401
    assert gateway.stats.connects == 0
    refused = [record for record in caplog.records if record.name == "hubbub.endpoint"]
    assert len(refused) == 1
    assert refused[0].exc_info is None
    for record in caplog.records:
        assert bad[:60] not in record.getMessage() or bad == "garbage"
        assert not {"\r", "\n"} & set(record.getMessage())


async def test_no_token_is_closed_with_4401(server: Address) -> None:
    assert await first_frame(server) == CLOSED_WITH_4401


async def test_a_token_in_the_url_does_not_count(server: Address) -> None:
    good = token(claims())

    assert await first_frame(server, path=f"/ws?token={good}&access_token={good}") == CLOSED_WITH_4401


async def test_a_cookie_and_a_header_with_different_tokens_are_closed_with_4401(server: Address) -> None:
    headers = [f"Authorization: Bearer {token(claims())}", f"Cookie: hubbub_session={token(claims(sub='bob'))}"]

    assert await first_frame(server, *headers) == CLOSED_WITH_4401


async def test_a_token_signed_with_the_public_key_is_closed_with_4401() -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    authenticate = JWTAuthenticator(public, algorithms=["RS256"])
    payload = json.dumps({"sub": "alice", "exp": NOW + 86_400}).encode()
    async with running(make_gateway(authenticate=authenticate, clock=None)) as server:
        for header in (HS256, {"alg": "RS256"}):
            forged = token(payload, header, key=public)
            assert await first_frame(server, f"Authorization: Bearer {forged}") == CLOSED_WITH_4401
        true = jwt.encode(json.loads(payload), private, "RS256")
        opcode, ready = await first_frame(server, f"Authorization: Bearer {true}")
        assert opcode == 1
        assert json.loads(ready)["data"]["userId"] == "alice"
