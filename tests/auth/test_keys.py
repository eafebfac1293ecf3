"""A configuration that is unsafe or cannot work raises at once, and the error names the remedy."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

import hypothesis.strategies as st
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from jwt.algorithms import ECAlgorithm

from hubbub.auth import keys
from hubbub.auth.authenticator import Handshake
from hubbub.auth.jwt import DEVELOPMENT_SECRET, JWTAuthenticator, mint_token
from hubbub.errors import ConfigurationError

SECRET = "0123456789abcdef" * 4
JWKS_URL = "https://issuer.example/jwks.json"


@cache
def private_key(name: str, bits: int) -> Any:
    if name == "RSA":
        return rsa.generate_private_key(65537, bits)
    return ed25519.Ed25519PrivateKey.generate() if name == "Ed25519" else ec.generate_private_key(ec.SECP256R1())


def private_pem(name: str) -> bytes:
    pem: bytes = private_key(name, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def public_pem(name: str, bits: int = 2048) -> bytes:
    key = private_key(name, bits).public_key()
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


@pytest.mark.parametrize(
    ("algorithms", "expected"),
    [
        ([], "algorithms is empty"),
        (["none"], "unknown algorithm 'none'"),
        (["hs256"], "unknown algorithm 'hs256'"),
        (["HS256", "RS256"], "mixes shared secrets"),
        ("HS256", r"takes a list: write \['HS256'\]"),
    ],
)
def test_invalid_sets_of_algorithms_are_refused(algorithms: Sequence[str], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        JWTAuthenticator(SECRET, algorithms=algorithms)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        ("", ["HS256"]),
        ("secret", ["HS256"]),
        ("x" * 31, ["HS256"]),
        ("x" * 32, ["HS256", "HS512"]),
        (public_pem("RSA"), ["HS256"]),
        (private_pem("EC").decode(), ["HS256"]),
        (json.dumps(ECAlgorithm.to_jwk(private_key("EC", 2048).public_key(), as_dict=True)), ["HS256"]),
        (7, ["HS256"]),
    ],
    ids=["empty", "short", "a byte short", "short for one", "public PEM", "private PEM", "JWK", "a number"],
)
def test_a_shared_secret_must_be_long_and_not_another_kind_of_key(key: Any, algorithms: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"HS\d+: expected a random secret of .*secrets.token_hex"):
        JWTAuthenticator(key, algorithms=algorithms)


@pytest.mark.parametrize(
    ("key", "algorithms", "expected"),
    [
        (SECRET, ["RS256"], "the key does not fit RS256: expected a public key in PEM: RSA"),
        (public_pem("EC"), ["RS256"], "the key does not fit RS256"),
        (public_pem("RSA"), ["RS256", "ES256"], "the key does not fit ES256"),
        (public_pem("EC"), ["ES384"], "the key does not fit ES384: expected a public key in PEM: EC, P-384"),
        (public_pem("RSA", 1024), ["RS256"], "the key is too short for RS256"),
        (private_pem("RSA"), ["RS256"], "the key is private"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", ["EdDSA"], "the key does not fit EdDSA"),
    ],
)
def test_a_public_key_must_fit_every_algorithm(key: str | bytes, algorithms: Sequence[str], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        JWTAuthenticator(key, algorithms=algorithms)


def test_exactly_one_of_key_and_jwks_url_is_needed() -> None:
    for arguments in ({}, {"key": SECRET, "jwks_url": JWKS_URL}):
        with pytest.raises(ConfigurationError, match="either a key or a jwks_url"):
            JWTAuthenticator(algorithms=["HS256"], **arguments)  # type: ignore[arg-type]


def test_a_shared_secret_cannot_come_from_a_url() -> None:
    with pytest.raises(ConfigurationError, match="never published"):
        JWTAuthenticator(algorithms=["HS256"], jwks_url=JWKS_URL)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "issuer.example/jwks.json", "data:application/json,{}", ""])
def test_a_jwks_url_must_be_http(url: str) -> None:
    with pytest.raises(ConfigurationError, match="jwks_url cannot be used"):
        JWTAuthenticator(algorithms=["RS256"], jwks_url=url)


def test_public_keys_without_cryptography_name_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "has_crypto", False)
    with pytest.raises(ConfigurationError, match=r"pip install 'hubbub\[crypto\]'"):
        JWTAuthenticator(algorithms=["RS256"], jwks_url=JWKS_URL)
    JWTAuthenticator(SECRET, algorithms=["HS256"])


def test_the_development_secret_works_and_logs_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "hubbub.auth"):
        mint_token("alice")
        assert caplog.messages == []
        JWTAuthenticator(DEVELOPMENT_SECRET, algorithms=["HS256"])
    assert caplog.messages == ["tokens are checked with DEVELOPMENT_SECRET: anybody can sign in as anybody"]


@pytest.mark.parametrize(
    ("algorithm", "name"), [("RS256", "RSA"), ("PS256", "RSA"), ("ES256", "EC"), ("EdDSA", "Ed25519")]
)
def test_a_token_signed_with_the_private_key_is_accepted_with_the_public_one(algorithm: str, name: str) -> None:
    token = mint_token("alice", key=private_pem(name), algorithm=algorithm)
    authenticate = JWTAuthenticator(public_pem(name), algorithms=[algorithm])
    identity: Any = authenticate(Handshake("/ws", headers=[("authorization", f"Bearer {token}")]))
    assert identity.user_id == "alice"


@pytest.mark.parametrize(
    ("key", "algorithm"), [("short", "HS256"), (SECRET, "RS256"), (SECRET, "XX"), (SECRET, "none")]
)
def test_no_token_is_issued_with_a_key_that_does_not_fit(key: str, algorithm: str) -> None:
    with pytest.raises(ConfigurationError):
        mint_token("alice", key=key, algorithm=algorithm)


nearly_base64 = st.one_of(
    st.binary(max_size=12),
    st.text("AQgw_-+/= \n.é", max_size=12).map(str.encode),
    st.builds(
        lambda data, ending: base64.urlsafe_b64encode(data).rstrip(b"=") + ending,
        st.binary(max_size=9),
        st.sampled_from([b"", b"=", b"==", b"===", b"A", b"!"]),
    ),
)


@given(segment=nearly_base64)
def test_a_part_of_a_token_is_decoded_as_pyjwt_decodes_it(segment: bytes) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}')
    token = b".".join([header, segment, b"AAAA"])

    def outcome(verifier: jwt.PyJWS) -> object:
        try:
            return verifier.decode_complete(token, options={"verify_signature": False})["payload"]
        except jwt.DecodeError as error:
            return str(error)

    assert outcome(keys.Verifier()) == outcome(jwt.PyJWS())
