"""Which tokens are accepted. Every other token is refused in the same way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.authenticator import Handshake, Identity
from hubbub.auth.jwt import MAX_TOKEN_LENGTH, JWTAuthenticator, mint_token
from hubbub.clock import Timer
from hubbub.errors import Unauthorized

NOW = 1_700_000_000.5
SECRET = "0123456789abcdef" * 4
DAY = 86400

RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_PUBLIC = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_PUBLIC = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class FixedClock:
    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        raise NotImplementedError


CLAIMS: dict[str, Any] = {
    "sub": "alice",
    "exp": int(NOW) + 3600,
    "iss": "https://issuer.example",
    "aud": "hubbub",
    "jti": "session-1",
}
authenticate = JWTAuthenticator(
    SECRET, algorithms=["HS256"], issuer="https://issuer.example", audience="hubbub", clock=FixedClock()
)


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(claims: Any = None, *, key: str | bytes = SECRET, **header: Any) -> str:
    """Sign anything with HMAC, even what jwt.encode refuses. Claims may be bytes, JSON or not."""
    content = claims if isinstance(claims, bytes) else json.dumps(CLAIMS if claims is None else claims).encode()
    signing_input = segment(json.dumps({"alg": "HS256", "typ": "JWT", **header}).encode()) + "." + segment(content)
    secret = key.encode() if isinstance(key, str) else key
    return signing_input + "." + segment(hmac.digest(secret, signing_input.encode(), hashlib.sha256))


def with_claims(**changes: Any) -> str:
    return signed({**CLAIMS, **changes})


def without(claim: str) -> str:
    return signed({name: value for name, value in CLAIMS.items() if name != claim})


def bearer(token: str, *more: tuple[str, str]) -> Handshake:
    return Handshake("/ws", headers=[("authorization", f"Bearer {token}"), *more])


def in_cookie(token: str) -> Handshake:
    return Handshake("/ws", headers=[("cookie", f"theme=dark; hubbub_session={token}")])


def unsigned(algorithm: str) -> str:
    token = signed(alg=algorithm)
    return token.rpartition(".")[0] + "."


REFUSED: dict[str, Handshake] = {
    "no token": Handshake("/ws"),
    "an empty token": bearer(""),
    "an empty cookie": in_cookie(""),
    "a token only in the URL": Handshake("/ws", f"token={signed()}&access_token={signed()}"),
    "a token under another scheme": Handshake("/ws", headers=[("authorization", f"Basic {signed()}")]),
    "alg none": bearer(unsigned("none")),
    "alg nOnE": bearer(unsigned("nOnE")),
    "alg none with a signature": bearer(signed(alg="none")),
    "alg null": bearer(signed(alg=None)),
    "alg as a list": bearer(signed(alg=["HS256"])),
    "alg as an object": bearer(signed(alg={"HS256": 1})),
    "an algorithm not pinned": bearer(signed(alg="HS512")),
    "another key": bearer(signed(key="f" * 64)),
    "an empty key": bearer(signed(key="")),
    "exp past": bearer(with_claims(exp=int(NOW))),
    "no exp": bearer(without("exp")),
    "exp null": bearer(with_claims(exp=None)),
    "exp NaN": bearer(with_claims(exp=float("nan"))),
    "exp Infinity": bearer(with_claims(exp=float("inf"))),
    "exp 1e400": bearer(signed(json.dumps({**CLAIMS, "exp": 0}).replace('"exp": 0', '"exp": 1e400').encode())),
    "exp 10^400": bearer(with_claims(exp=10**400)),
    "exp minus 10^400": bearer(with_claims(exp=-(10**400))),
    "exp over 400 days ahead": bearer(with_claims(exp=NOW + 400 * DAY + 1)),
    "exp as a string": bearer(with_claims(exp=str(int(NOW) + 60))),
    "exp true": bearer(with_claims(exp=True)),
    "exp as a list": bearer(with_claims(exp=[int(NOW) + 60])),
    "nbf future": bearer(with_claims(nbf=NOW + 6)),
    "nbf NaN": bearer(with_claims(nbf=float("nan"))),
    "nbf 10^400": bearer(with_claims(nbf=10**400)),
    "nbf as a string": bearer(with_claims(nbf="0")),
    "nbf true": bearer(with_claims(nbf=True)),
    "no iss": bearer(without("iss")),
    "wrong iss": bearer(with_claims(iss="https://evil.example")),
    "iss substring": bearer(with_claims(iss="https://issuer")),
    "iss with a suffix": bearer(with_claims(iss="https://issuer.example.evil")),
    "iss as a list": bearer(with_claims(iss=["https://issuer.example"])),
    "no aud": bearer(without("aud")),
    "wrong aud": bearer(with_claims(aud="billing")),
    "aud substring": bearer(with_claims(aud="hubbub-admin")),
    "aud of others": bearer(with_claims(aud=["billing", "hub"])),
    "aud as an object": bearer(with_claims(aud={"hubbub": 1})),
    "no sub": bearer(without("sub")),
    "sub integer": bearer(with_claims(sub=7)),
    "sub null": bearer(with_claims(sub=None)),
    'sub ""': bearer(with_claims(sub="")),
    "sub of 129 characters": bearer(with_claims(sub="a" * 129)),
    "sub with a line break": bearer(with_claims(sub="alice\nadmin")),
    "sub with a lone surrogate": bearer(with_claims(sub="\ud800")),
    "session not a string": bearer(with_claims(jti=7)),
    "unknown crit": bearer(signed(crit=["exp2"], exp2=1)),
    "unknown crit with a forged log line": bearer(signed(crit=["x\r\nfake" * 200])),
    "crit not a list": bearer(signed(crit="b64")),
    "crit empty": bearer(signed(crit=[])),
    "b64 false": bearer(signed(crit=["b64"], b64=False)),
    "kid ../../dev/null, signed with nothing": bearer(signed(key="", kid="../../dev/null")),
    "kid not a string": bearer(signed(kid=7)),
    "jku with a key of the attacker's own": bearer(signed(key="f" * 64, jku="http://127.0.0.1:9/jwks.json")),
    "jwk with a key of the attacker's own": bearer(signed(key="f" * 64, jwk={"kty": "oct", "k": segment(b"f" * 64)})),
    "x5u": bearer(signed(key="f" * 64, x5u="http://127.0.0.1:9/cert.pem")),
    "claims nested 1,000 deep": bearer(
        signed(json.dumps(CLAIMS)[:-1].encode() + b',"x":' + b"[" * 1000 + b"]" * 1000 + b"}")
    ),
    "a header nested 1,000 deep": bearer(segment(b'{"alg":' + b"[" * 1000 + b"]" * 1000 + b"}") + ".e30.AAAA"),
    "a 5,000-digit integer in the header": bearer(segment(b'{"alg":' + b"9" * 2900 + b"}") + ".e30.AAAA"),
    "claims as a list": bearer(signed([CLAIMS])),
    "claims not JSON": bearer(signed(b"alice")),
    "claims not UTF-8": bearer(signed(b'{"sub":"\xff"}')),
    "6 KiB token": bearer(with_claims(padding="x" * 4500)),
    "different tokens in cookie and header": bearer(
        with_claims(sub="bob"), ("cookie", f"hubbub_session={with_claims(sub='alice')}")
    ),
    "different tokens in two cookies": in_cookie(f"{signed()}; hubbub_session={with_claims(sub='bob')}"),
    "different tokens in two headers": bearer(signed(), ("authorization", f"Bearer {with_claims(sub='bob')}")),
    "not a token": bearer("alice"),
    "a token of two segments": bearer(signed().rpartition(".")[0]),
    "a token of four segments": bearer(signed() + ".AAAA"),
    "a token that is not ASCII": bearer("é" + signed()),
    "a token with a lone surrogate": bearer("\ud800" + signed()),
    "a token with a space in it": bearer(signed().replace(".", ". ", 1)),
    "an encrypted token": bearer(segment(b'{"alg":"dir","enc":"A256GCM"}') + "..AAAA.AAAA.AAAA"),
}


@pytest.mark.parametrize("handshake", REFUSED.values(), ids=REFUSED.keys())
def test_every_bad_token_is_refused_as_unauthorized(handshake: Handshake) -> None:
    with pytest.raises(Unauthorized) as refused:
        authenticate(handshake)
    reason = str(refused.value)
    assert reason.isprintable()
    assert len(reason) < 200
    assert "eyJ" not in reason  # the start of every token


def test_an_hmac_made_with_the_public_key_is_refused() -> None:
    with pytest.raises(Unauthorized):
        JWTAuthenticator(RSA_PUBLIC, algorithms=["RS256"])(bearer(signed({**CLAIMS, "aud": None}, key=RSA_PUBLIC)))


@pytest.mark.parametrize("handshake", [bearer(signed()), in_cookie(signed())], ids=["header", "cookie"])
def test_a_good_token_names_user_expiry_and_session_at_once(handshake: Handshake) -> None:
    assert authenticate(handshake) == Identity("alice", CLAIMS["exp"], "session-1")


@pytest.mark.parametrize(
    "token",
    [
        with_claims(exp=NOW + 0.5),
        with_claims(exp=NOW + 400 * DAY - 1),
        with_claims(nbf=NOW + 4),
        with_claims(nbf=0),
        with_claims(aud=["billing", "hubbub"]),
        with_claims(big=10**300, deep=[[[[]]]], roles=[{"name": "admin"}] * 40),
        signed(kid="../../dev/null", jku="http://127.0.0.1:9/", x5t="abc"),
        signed(crit=["b64"], b64=True),
    ],
    ids=["about to expire", "399 days", "nbf in the leeway", "nbf past", "aud in a list", "more claims", "kid", "b64"],
)
def test_a_token_within_the_rules_is_accepted(token: str) -> None:
    identity = authenticate(bearer(token))
    assert isinstance(identity, Identity)
    assert identity.user_id == "alice"


def test_the_scheme_may_be_written_in_any_case_and_spaced() -> None:
    assert isinstance(authenticate(Handshake("/ws", headers=[("authorization", f"bearer   {signed()} ")])), Identity)


def test_the_same_token_in_header_and_cookie_is_accepted() -> None:
    assert isinstance(authenticate(bearer(signed(), ("cookie", f"hubbub_session={signed()}"))), Identity)


def test_an_empty_cookie_does_not_conflict_with_the_header() -> None:
    assert isinstance(authenticate(bearer(signed(), ("cookie", "hubbub_session="))), Identity)


def test_claims_nested_too_deep_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(Unauthorized, match="nest too deep"):
        authenticate(bearer(signed(b"[" * 1000 + b"]" * 1000)))


def test_another_scheme_of_authorization_does_not_hide_the_cookie() -> None:
    headers = [("authorization", "Basic YTpi"), ("cookie", f"hubbub_session={signed()}")]
    assert isinstance(authenticate(Handshake("/ws", headers=headers)), Identity)


def test_the_cookie_can_be_renamed_or_turned_off() -> None:
    token = mint_token("alice", key=SECRET)
    named = JWTAuthenticator(SECRET, algorithms=["HS256"], cookie="sid")
    assert isinstance(named(Handshake("/ws", headers=[("cookie", f"sid={token}")])), Identity)
    with pytest.raises(Unauthorized, match="no token"):
        JWTAuthenticator(SECRET, algorithms=["HS256"], cookie=None)(in_cookie(token))


def test_a_token_for_an_audience_is_refused_where_none_is_expected() -> None:
    with pytest.raises(Unauthorized, match="JWTAuthenticator has none"):
        JWTAuthenticator(SECRET, algorithms=["HS256"], clock=FixedClock())(bearer(signed()))


def test_the_session_is_the_claim_that_the_app_names() -> None:
    by_sid = JWTAuthenticator(SECRET, algorithms=["HS256"], session_claim="sid")
    token = mint_token("alice", key=SECRET, claims={"sid": "s-7"})
    assert isinstance(identity := by_sid(bearer(token)), Identity)
    assert identity.session == "s-7"
    assert isinstance(identity := by_sid(bearer(mint_token("alice", key=SECRET))), Identity)
    assert identity.session is None


def test_an_issued_token_lasts_12_hours_and_has_its_own_session() -> None:
    plain = JWTAuthenticator(SECRET, algorithms=["HS256"], clock=FixedClock())
    first, second = (plain(bearer(mint_token("alice", key=SECRET, clock=FixedClock()))) for _ in range(2))
    assert isinstance(first, Identity)
    assert isinstance(second, Identity)
    assert (first.user_id, first.expires_at) == ("alice", int(NOW + 12 * 3600))
    assert first.session != second.session


def test_no_token_is_issued_for_an_unusable_user_id() -> None:
    with pytest.raises(Unauthorized):
        mint_token("")


def test_the_longest_token_is_still_read() -> None:
    padding = "x" * ((MAX_TOKEN_LENGTH - len(with_claims(padding=""))) * 3 // 4 - 3)
    token = with_claims(padding=padding)
    assert MAX_TOKEN_LENGTH - 8 < len(token) <= MAX_TOKEN_LENGTH
    assert isinstance(authenticate(bearer(token)), Identity)


BYTES = st.binary(max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku", "jwk", "cty", "exp"]), JSON)
CLAIM_SETS = st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "jti", "x"]), JSON)
AUTHENTICATORS = [
    authenticate,
    JWTAuthenticator(RSA_PUBLIC, algorithms=["RS256", "PS256"]),
    JWTAuthenticator(EC_PUBLIC, algorithms=["ES256"]),
]


def identity_or_refusal(authenticator: JWTAuthenticator, handshake: Handshake) -> Identity | None:
    """Return the identity, or None for Unauthorized. Any other outcome fails the test."""
    try:
        identity = authenticator(handshake)
    except Unauthorized:
        return None
    assert isinstance(identity, Identity)
    return identity


@given(st.text(max_size=60) | st.lists(BYTES, min_size=2, max_size=4).map(lambda parts: ".".join(map(segment, parts))))
def test_no_text_in_place_of_a_token_is_accepted(text: str) -> None:
    for authenticator in AUTHENTICATORS:
        assert identity_or_refusal(authenticator, bearer(text)) is None
        assert identity_or_refusal(authenticator, in_cookie(text)) is None


@given(st.sampled_from(["RS256", "PS256", "ES256", "HS256", "none"]), HEADERS, CLAIM_SETS, st.binary(max_size=260))
def test_no_forged_signature_is_accepted(algorithm: str, header: Any, claims: Any, signature: bytes) -> None:
    parts = json.dumps({"alg": algorithm, **header}).encode(), json.dumps({**CLAIMS, **claims}).encode(), signature
    for authenticator in AUTHENTICATORS:
        assert identity_or_refusal(authenticator, bearer(".".join(map(segment, parts)))) is None


@given(HEADERS, CLAIM_SETS)
def test_any_claims_that_the_issuer_signs_are_a_valid_identity_or_refused(header: Any, claims: Any) -> None:
    identity = identity_or_refusal(authenticate, bearer(signed({**CLAIMS, **claims}, **header)))
    if identity is not None and identity.expires_at is not None:
        assert NOW < identity.expires_at <= NOW + 400 * DAY
        assert 0 < len(identity.user_id.encode()) <= 4 * 128


@given(st.binary(max_size=200))
def test_no_signed_bytes_raise(content: bytes) -> None:
    identity_or_refusal(authenticate, bearer(signed(content)))


@given(st.integers(0, 300), st.characters(max_codepoint=127))
def test_a_token_with_one_character_changed_is_refused_or_means_the_same(position: int, character: str) -> None:
    token = jwt.encode({**CLAIMS}, EC_KEY, "ES256")
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    authenticator = JWTAuthenticator(EC_PUBLIC, algorithms=["ES256"], audience="hubbub", clock=FixedClock())
    identity = identity_or_refusal(authenticator, bearer(changed))
    assert identity is None or changed.strip(" ") == token
