"""JSON Web Tokens as credentials (RFC 7519, verified as RFC 8725 advises)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec

from hubbub.auth.authenticator import Handshake, Identity, cookie_values
from hubbub.auth.jwks import KeySet
from hubbub.auth.keys import HMAC, check_algorithms, make_verifier, prepare_key
from hubbub.clock import Clock, SystemClock
from hubbub.errors import ConfigurationError, Unauthorized

DEFAULT_COOKIE: Final = "hubbub_session"

DEVELOPMENT_SECRET: Final = "hubbub-development-secret-do-not-use-in-production"
"""The key that `hubbub token` signs with, for an app under development. It is public: never use it in production."""

MAX_TOKEN_LENGTH: Final = 4096
"""Bytes of a token. A header of a handshake may be 8 KiB long; a token with many claims has 2 KiB."""

MAX_BRACKETS: Final = 500
"""Opening brackets in the claims. Limits how deep they nest before they are parsed, the same in every Python."""

logger = logging.getLogger("hubbub.auth")


class JWTAuthenticator:
    """An authenticator that accepts a valid JWT from a cookie or from `Authorization: Bearer`.

    Tokens in the URL are ignored, because URLs end up in logs. A token must have the claims `sub` and `exp`.

    Args:
        key: The shared secret for HS256, HS384 and HS512, or a public key in PEM for the other algorithms. Give
            either `key` or `jwks_url`.
        algorithms: The only algorithms accepted, such as `["HS256"]`: shared secrets or public keys, never both.
        jwks_url: Where the issuer publishes its keys. They are fetched when an unknown key id arrives, at most once a
            minute (ten seconds after a failure), and every hour. Old keys stay in use while the issuer is down.
        issuer: What the claim `iss` must be. None accepts any.
        audience: What the claim `aud` must be or contain. With None, a token that names an audience is refused.
        cookie: The name of the cookie, `hubbub_session` by default. None reads no cookie.
        session_claim: The claim by which `gateway.disconnect` finds the sockets of one session. A token may lack it.
        leeway: Seconds by which the issuer's clock may be ahead (`nbf`). It does not extend `exp`, because the socket
            closes at that time.
        max_lifetime: Seconds that `exp` may lie in the future. The default is 400 days.
        clock: Source of the time. Tests pass a `ManualClock`.

    Raises:
        ConfigurationError: If these do not work together.
    """

    def __init__(
        self,
        key: str | bytes | None = None,
        *,
        algorithms: Sequence[str],
        jwks_url: str | None = None,
        issuer: str | None = None,
        audience: str | None = None,
        cookie: str | None = DEFAULT_COOKIE,
        session_claim: str = "jti",
        leeway: float = 5.0,
        max_lifetime: float = 34_560_000.0,
        clock: Clock | None = None,
    ) -> None:
        self._algorithms = check_algorithms(algorithms)
        self._issuer = issuer
        self._audience = audience
        self.cookie = cookie
        self._session_claim = session_claim
        self._leeway = leeway
        self._max_lifetime = max_lifetime
        self._clock = clock or SystemClock()
        self._verifier = make_verifier(self._algorithms)
        self._key: Any = None
        self._keys: KeySet | None = None
        if (key is None) == (jwks_url is None):
            raise ConfigurationError("pass JWTAuthenticator either a key or a jwks_url")
        if key is not None:
            self._key = prepare_key(key, self._algorithms)
            if self._key == DEVELOPMENT_SECRET.encode():
                logger.warning("tokens are checked with DEVELOPMENT_SECRET: anybody can sign in as anybody")
        elif jwks_url is not None:
            if self._algorithms[0] in HMAC:
                raise ConfigurationError("a shared secret is never published: pass it as key, or pin RS256 or ES256")
            self._keys = KeySet(jwks_url, self._algorithms, self._clock)

    def __call__(self, handshake: Handshake) -> Identity | Awaitable[Identity]:
        """Return who is connecting. The result is awaitable only if a key must be fetched first.

        Raises:
            Unauthorized: If the token is missing or not valid. The message is the reason, for the log.
        """
        token = self._find_token(handshake)
        if self._keys is None:
            return self._verify(token, self._key)
        key_id, algorithm = self._read_key_id(token)
        key = self._keys.get(key_id, algorithm)
        if key is not None:
            return self._verify(token, key)
        return self._fetch_key_and_verify(token, self._keys, key_id, algorithm)

    async def _fetch_key_and_verify(self, token: str, keys: KeySet, key_id: str | None, algorithm: str) -> Identity:
        key = await keys.get_or_fetch(key_id, algorithm)
        if key is None:
            raise Unauthorized(f"the issuer has no {algorithm} key {key_id!r:.100}, or could not be reached")
        return self._verify(token, key)

    def _find_token(self, handshake: Handshake) -> str:
        tokens = set[str]()
        for name, value in handshake.headers:
            if name == "authorization":
                scheme, _, credentials = value.partition(" ")
                if scheme.lower() == "bearer":
                    tokens.add(credentials.strip(" "))
            elif name == "cookie" and self.cookie is not None:
                tokens.update(cookie_values(value, self.cookie))
        tokens.discard("")  # how some apps delete a cookie
        if not tokens:
            raise Unauthorized("no token")
        if len(tokens) > 1:
            raise Unauthorized("several tokens that disagree")
        token = tokens.pop()
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise Unauthorized(f"the token has over {MAX_TOKEN_LENGTH} bytes, or is not ASCII")
        return token

    def _read_key_id(self, token: str) -> tuple[str | None, str]:
        """Return the key id and algorithm in the token's header. Nothing else in a header is ever trusted."""
        try:
            header = self._verifier.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _refusal(error) from None
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise Unauthorized("the token's algorithm is not among those pinned")
        return header.get("kid"), algorithm

    def _verify(self, token: str, key: Any) -> Identity:
        try:
            payload = self._verifier.decode_complete(token, key, self._algorithms)["payload"]
        except jwt.PyJWTError as error:
            raise _refusal(error) from None
        claims = _parse_claims(payload)
        self._check_issuer_and_audience(claims)
        expires_at = self._check_times(claims)
        if "sub" not in claims:
            raise Unauthorized("the token has no sub")
        return Identity(claims["sub"], expires_at, claims.get(self._session_claim))

    def _check_issuer_and_audience(self, claims: Mapping[str, Any]) -> None:
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise Unauthorized("the token's iss is not the expected issuer")
        audience = claims.get("aud")
        if self._audience is None:
            # RFC 7519 section 4.1.3: a server that is not among a token's audience must refuse it.
            if audience is not None:
                raise Unauthorized("the token names an audience (aud), and JWTAuthenticator has none")
        elif audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise Unauthorized("the token's aud is not, and does not contain, the expected audience")

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        """Return when the token expires.

        An integer of 400 digits overflows as a float, so the claims are compared first and converted last.
        """
        now = self._clock.time()
        expires_at = _numeric_claim(claims, "exp")
        if expires_at is None:
            raise Unauthorized("the token has no exp")
        if expires_at <= now:
            raise Unauthorized("the token has expired")
        if expires_at > now + self._max_lifetime:
            raise Unauthorized(f"the token's exp is more than {self._max_lifetime:.0f} s ahead")
        not_before = _numeric_claim(claims, "nbf")
        if not_before is not None and not_before > now + self._leeway:
            raise Unauthorized("the token is not valid yet (nbf)")
        return float(expires_at)


def mint_token(
    user_id: str,
    *,
    key: str | bytes = DEVELOPMENT_SECRET,
    algorithm: str = "HS256",
    lifetime: float = 43_200.0,
    claims: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> str:
    """Return a signed JWT for a user, as `hubbub token` prints it, for development and tests.

    Args:
        user_id: The claim `sub`.
        key: The shared secret, or a private key in PEM for the algorithms with a public key.
        algorithm: The algorithm to sign with.
        lifetime: Seconds until the token expires. The default is 12 hours.
        claims: Further claims. They may replace `sub`, `iat`, `exp` and `jti`.
        clock: Source of the time. Tests pass a `ManualClock`.

    Raises:
        ConfigurationError: If the key does not fit the algorithm.
        Unauthorized: If the user id cannot be used.
    """
    if algorithm in HMAC:
        prepare_key(key, (algorithm,))
    now = (clock or SystemClock()).time()
    payload = {
        "sub": Identity(user_id).user_id,
        "iat": int(now),
        "exp": int(now + lifetime),
        "jti": uuid.uuid4().hex,
        **(claims or {}),
    }
    try:
        return jwt.encode(payload, key, algorithm)
    except (jwt.PyJWTError, NotImplementedError, TypeError, ValueError) as error:
        raise ConfigurationError(f"the key cannot sign with {algorithm}: {error}") from error


def _parse_claims(payload: bytes) -> dict[str, Any]:
    if payload.count(b"[") + payload.count(b"{") > MAX_BRACKETS:
        raise Unauthorized("the claims nest too deep")
    try:
        claims = msgspec.json.decode(payload)  # unlike json, it rejects NaN and lone surrogates
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unauthorized("the claims are not JSON") from None
    if not isinstance(claims, dict):
        raise Unauthorized("the claims are not a JSON object")
    return claims


def _numeric_claim(claims: Mapping[str, Any], name: str) -> int | float | None:
    value = claims.get(name)
    if value is not None and type(value) not in (int, float):  # True is an int too
        raise Unauthorized(f"the token's {name} is not a number")
    return value


def _refusal(error: jwt.PyJWTError) -> Unauthorized:
    # Quoted, because PyJWT may repeat what a client wrote into the header, line breaks included.
    return Unauthorized(f"the token is refused: {str(error)[:100]!r}")
