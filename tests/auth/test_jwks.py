"""An issuer's keys over HTTP: fetched rarely, kept while the issuer is down, once for concurrent handshakes."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from hubbub.auth import jwks
from hubbub.auth.authenticator import Handshake, Identity
from hubbub.auth.jwks import FETCH_INTERVAL, REFRESH_INTERVAL, RETRY_INTERVAL, usable_keys
from hubbub.auth.jwt import JWTAuthenticator
from hubbub.clock import Timer
from hubbub.errors import Unauthorized

NOW = 1_700_000_000.0
RSA_KEY, OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
SHORT_RSA_KEY = rsa.generate_private_key(65537, 1024)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
LONG_EC_KEY = ec.generate_private_key(ec.SECP384R1())


def jwk(key: Any, kid: Any = "key-1", **members: Any) -> dict[str, Any]:
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **members}


class MovedClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self) -> float:
        return NOW + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        raise NotImplementedError


class Issuer:
    """A real HTTP server with a JWKS document. It records requests and can delay its response."""

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk(RSA_KEY)]
        self.body: bytes | None = None
        self.status = 200
        self.paths: list[str] = []
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        issuer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.paths.append(self.path)
                issuer.asked.set()
                issuer.may_answer.wait(10)
                body = issuer.body if issuer.body is not None else json.dumps({"keys": issuer.keys}).encode()
                self.send_response(issuer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # the client may have given up waiting
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/jwks.json"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield issuer
    issuer.may_answer.set()
    issuer.server.shutdown()
    issuer.server.server_close()
    thread.join()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def authenticate(issuer: Issuer, clock: MovedClock) -> JWTAuthenticator:
    return JWTAuthenticator(jwks_url=issuer.url, algorithms=["RS256", "ES256"], clock=clock)


def token(key: Any = RSA_KEY, kid: str | None = "key-1", algorithm: str = "RS256", **header: Any) -> Handshake:
    headers = header if kid is None else {"kid": kid, **header}
    text = jwt.encode({"sub": "alice", "exp": NOW + 10_000}, key, algorithm, headers)
    return Handshake("/ws", headers=[("authorization", f"Bearer {text}")])


async def answer(authenticate: JWTAuthenticator, handshake: Handshake) -> Identity:
    found = authenticate(handshake)
    return await found if isinstance(found, Awaitable) else found


async def is_refused(authenticate: JWTAuthenticator, handshake: Handshake) -> bool:
    try:
        await answer(authenticate, handshake)
    except Unauthorized:
        return True
    return False


async def test_the_first_token_waits_for_the_keys_and_the_next_one_is_verified_at_once(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    assert issuer.paths == []
    found = authenticate(token())
    assert isinstance(found, Awaitable)
    assert await found == Identity("alice", NOW + 10_000)
    assert authenticate(token()) == Identity("alice", NOW + 10_000)
    assert issuer.paths == ["/jwks.json"]


async def test_both_rs256_and_es256_keys_are_found_under_one_key_id(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    issuer.keys = [jwk(RSA_KEY), jwk(EC_KEY)]
    assert (await answer(authenticate, token())).user_id == "alice"
    assert (await answer(authenticate, token(EC_KEY, algorithm="ES256"))).user_id == "alice"
    assert len(issuer.paths) == 1


async def test_a_key_without_an_id_serves_tokens_without_one(issuer: Issuer, authenticate: JWTAuthenticator) -> None:
    issuer.keys = [{name: value for name, value in jwk(RSA_KEY).items() if name != "kid"}]
    assert (await answer(authenticate, token(kid=None))).user_id == "alice"


async def test_a_bad_signature_is_refused_under_a_known_key_id(authenticate: JWTAuthenticator) -> None:
    with pytest.raises(Unauthorized, match="Signature verification failed"):
        await answer(authenticate, token(OTHER_RSA_KEY))
    with pytest.raises(Unauthorized, match="Signature verification failed"):
        authenticate(token(OTHER_RSA_KEY))


async def test_a_thousand_unknown_key_ids_at_once_cost_one_fetch(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    unknown = token(OTHER_RSA_KEY, "unknown")
    header, _, rest = unknown.headers[0][1].removeprefix("Bearer ").partition(".")
    assert jwt.utils.base64url_decode(header)  # the signature does not matter: no key is ever found for it

    def with_key_id(kid: str) -> Handshake:
        segment = jwt.utils.base64url_encode(json.dumps({"alg": "RS256", "kid": kid}).encode()).decode()
        return Handshake("/ws", headers=[("authorization", f"Bearer {segment}.{rest}")])

    handshakes = [with_key_id(f"unknown-{number}") for number in range(1000)]
    assert all(await asyncio.gather(*(is_refused(authenticate, handshake) for handshake in handshakes)))
    assert [await is_refused(authenticate, handshake) for handshake in handshakes[:10]] == [True] * 10
    assert len(issuer.paths) == 1


async def test_unknown_key_ids_cost_at_most_one_fetch_a_minute(
    issuer: Issuer, authenticate: JWTAuthenticator, clock: MovedClock
) -> None:
    await answer(authenticate, token())
    clock.seconds = FETCH_INTERVAL - 1
    assert await is_refused(authenticate, token(OTHER_RSA_KEY, "key-2"))
    assert len(issuer.paths) == 1
    issuer.keys = [jwk(RSA_KEY), jwk(OTHER_RSA_KEY, "key-2")]
    clock.seconds = FETCH_INTERVAL
    assert (await answer(authenticate, token(OTHER_RSA_KEY, "key-2"))).user_id == "alice"
    assert len(issuer.paths) == 2


@pytest.mark.parametrize("kid", ["../../dev/null", "http://127.0.0.1:9/", "\x00", "\ud800", "k" * 1000])
async def test_a_key_id_is_only_looked_up_and_never_opened(
    issuer: Issuer, authenticate: JWTAuthenticator, kid: str
) -> None:
    with pytest.raises(Unauthorized) as refused:
        await answer(authenticate, token(OTHER_RSA_KEY, kid))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200
    assert issuer.paths == ["/jwks.json"]


async def test_keys_inside_a_token_or_at_its_urls_are_never_used(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    stranger = token(OTHER_RSA_KEY, jku=issuer.url + "?stranger", x5u=issuer.url + "?x5u", jwk=jwk(OTHER_RSA_KEY))
    assert await is_refused(authenticate, stranger)
    assert issuer.paths == ["/jwks.json"]


async def test_a_token_with_an_algorithm_that_is_not_pinned_starts_no_fetch(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    assert await is_refused(authenticate, token(algorithm="PS256"))
    assert await is_refused(authenticate, token("x" * 64, algorithm="HS256"))
    assert await is_refused(authenticate, token("", algorithm="none"))
    assert issuer.paths == []


async def test_a_cancelled_handshake_does_not_cancel_the_shared_fetch(
    issuer: Issuer, authenticate: JWTAuthenticator
) -> None:
    issuer.may_answer.clear()
    first, second = (asyncio.create_task(answer(authenticate, token())) for _ in range(2))
    assert await asyncio.to_thread(issuer.asked.wait, 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    issuer.may_answer.set()
    assert (await second).user_id == "alice"
    assert len(issuer.paths) == 1


async def test_keys_are_refreshed_in_the_background_after_an_hour(
    issuer: Issuer, authenticate: JWTAuthenticator, clock: MovedClock
) -> None:
    await answer(authenticate, token())
    issuer.keys = [jwk(OTHER_RSA_KEY, "key-2")]
    clock.seconds = REFRESH_INTERVAL
    issuer.asked.clear()
    assert isinstance(authenticate(token()), Identity)  # this does not wait for the refresh
    assert await asyncio.to_thread(issuer.asked.wait, 5)
    assert (await answer(authenticate, token(OTHER_RSA_KEY, "key-2"))).user_id == "alice"  # a new key does
    assert await is_refused(authenticate, token())  # the withdrawn key is gone
    assert len(issuer.paths) == 2


BROKEN: dict[str, tuple[int, bytes | None]] = {
    "an error": (500, None),
    "a redirect": (302, None),
    "no JSON": (200, b"<html>"),
    "no UTF-8": (200, b'{"keys": "\xff"}'),
    "not an object": (200, b"[]"),
    "not a list": (200, b'{"keys": {"kty": "RSA"}}'),
    "no keys": (200, b'{"keys": []}'),
    "nothing": (200, b""),
    "deep nesting": (200, b"[" * 100_000),
}


@pytest.mark.parametrize(("status", "body"), BROKEN.values(), ids=BROKEN.keys())
async def test_while_the_issuer_is_broken_known_keys_work_and_others_are_refused_with_one_log_line(
    issuer: Issuer,
    authenticate: JWTAuthenticator,
    clock: MovedClock,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: bytes | None,
) -> None:
    await answer(authenticate, token())
    issuer.status, issuer.body = status, body
    clock.seconds = REFRESH_INTERVAL
    with caplog.at_level(logging.INFO, "hubbub.auth"):
        refusals = (is_refused(authenticate, token(OTHER_RSA_KEY, f"key-{number}")) for number in range(2, 10))
        assert all(await asyncio.gather(*refusals))
    assert isinstance(authenticate(token()), Identity)
    assert len(issuer.paths) == 2
    [record] = [record for record in caplog.records if record.name == "hubbub.auth"]
    assert record.getMessage().startswith(f"cannot fetch the keys at {issuer.url}, 1 stay in use: ")
    assert record.getMessage().isprintable()
    assert record.exc_info is None


async def test_a_failed_fetch_is_tried_again_after_ten_seconds(
    issuer: Issuer, authenticate: JWTAuthenticator, clock: MovedClock
) -> None:
    issuer.status = 503
    assert await is_refused(authenticate, token())
    issuer.status = 200
    clock.seconds = RETRY_INTERVAL - 1
    assert await is_refused(authenticate, token())
    assert len(issuer.paths) == 1
    clock.seconds = RETRY_INTERVAL
    assert (await answer(authenticate, token())).user_id == "alice"


async def test_a_fetch_from_an_issuer_that_does_not_answer_times_out(
    issuer: Issuer, clock: MovedClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    authenticate = JWTAuthenticator(jwks_url=issuer.url, algorithms=["RS256"], clock=clock)
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT", 0.05)  # of the whole fetch; the timeout of each read is still 5 s
    issuer.may_answer.clear()
    assert await is_refused(authenticate, token())
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["TimeoutError"]
    issuer.may_answer.set()


def test_a_fetch_that_ended_with_its_event_loop_does_not_block_the_next_loop(
    issuer: Issuer, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticate = JWTAuthenticator(jwks_url=issuer.url, algorithms=["RS256"], clock=clock)

    async def never(_: object) -> None:
        await asyncio.Event().wait()

    async def leave_in_mid_fetch() -> None:
        waiting = asyncio.create_task(answer(authenticate, token()))
        await asyncio.sleep(0)
        waiting.cancel()

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "to_thread", never)
        asyncio.run(leave_in_mid_fetch())
    assert asyncio.run(is_refused(authenticate, token()))
    clock.seconds = FETCH_INTERVAL
    assert asyncio.run(answer(authenticate, token())).user_id == "alice"


async def test_an_issuer_that_cannot_be_reached_refuses_unknown_keys(clock: MovedClock, issuer: Issuer) -> None:
    issuer.server.socket.close()
    authenticate = JWTAuthenticator(jwks_url=issuer.url, algorithms=["RS256"], clock=clock)
    assert await is_refused(authenticate, token())


UNFIT: dict[str, Any] = {
    "for encryption": jwk(RSA_KEY, use="enc"),
    "for another algorithm": jwk(RSA_KEY, alg="RS512"),
    "a public key for HMAC": jwk(RSA_KEY, alg="HS256"),
    "for another operation": jwk(RSA_KEY, key_ops=["encrypt"]),
    "operations not a list": jwk(RSA_KEY, key_ops="verify"),
    "key id a number": jwk(RSA_KEY, kid=7),
    "key id a list": jwk(RSA_KEY, kid=["key-1"]),
    "modulus a number": jwk(RSA_KEY, n=7),
    "no exponent": jwk(RSA_KEY, e=None),
    "private": {**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "kid": "key-1", "key_ops": ["verify"]},
    "short": jwk(SHORT_RSA_KEY),
    "another curve": jwk(LONG_EC_KEY),
    "another curve than it says": jwk(LONG_EC_KEY, crv="P-256"),
    "no point of the curve": jwk(EC_KEY, x="A" * 43),
    "a shared secret": {"kty": "oct", "kid": "key-1", "k": "c2VjcmV0"},
    "a type alone": {"kty": "RSA"},
    "an empty object": {},
    "null": None,
    "a string": "key-1",
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT.keys())
def test_a_key_that_fits_no_pinned_algorithm_is_left_out_and_the_others_stay(unfit: Any) -> None:
    document = {"keys": [unfit, jwk(EC_KEY, "good")]}
    assert [name for name, _ in usable_keys(document, ["RS256", "ES256"])] == [("good", "ES256")]


@pytest.mark.parametrize("members", [{}, {"use": "sig"}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"x5c": ["AAAA"]}])
def test_a_key_with_only_the_required_members_is_used(members: dict[str, Any]) -> None:
    assert [name for name, _ in usable_keys({"keys": [jwk(RSA_KEY, **members)]}, ["RS256"])] == [("key-1", "RS256")]


MEMBERS = st.none() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=4), max_size=2)
VALUES = MEMBERS | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "RS256", "AQAB"])


@given(st.lists(st.dictionaries(st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use", "alg"]), VALUES)))
def test_the_key_parser_never_raises(keys: list[dict[str, Any]]) -> None:
    algorithms = ["RS256", "PS256", "ES256", "EdDSA"]
    bases = (jwk(RSA_KEY), jwk(EC_KEY), {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43})
    list(usable_keys({"keys": keys + [{**base, **changes} for base in bases for changes in keys]}, algorithms))
