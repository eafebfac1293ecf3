"""JSON Web Tokens as credentials (RFC 7519, checked as RFC 8725 advises)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final

import jwt
import msgspec

from hubbub.auth.authenticator import Handshake, Identity, cookies_in
from hubbub.auth.jwks import KeySet
from hubbub.auth.keys import HMAC, checked_key, pinned, verifier
from hubbub.clock import Clock, SystemClock
from hubbub.errors import ConfigurationError, Unauthorized

DEFAULT_COOKIE: Final = "hubbub_session"

#: Signs the tokens of ``hubbub token`` for an app under development. Everybody knows it.
DEVELOPMENT_SECRET: Final = "hubbub-development-secret-do-not-use-in-production"

#: Bytes of a token. Every header of a handshake may be 8 KiB; tokens with many claims have 2 KiB.
MAX_TOKEN_LENGTH: Final = 4096

#: Brackets in the claims. Bounds how deep they nest before they are parsed, on every version of Python alike.
MAX_BRACKETS: Final = 500

_DAY: Final = 86400.0

logger = logging.getLogger("hubbub.auth")


class JWTAuthenticator:
    """Accepts a valid JWT from a cookie or from ``Authorization: Bearer``; never from the URL, which ends up in logs.

    Give either key or jwks_url:

    key: the shared secret for HS256, HS384 and HS512; a public key in PEM for the others.
    jwks_url: where the issuer publishes its keys. Fetched when an unknown key id arrives, at most once a minute (ten
        seconds after a failure), and hourly; old keys stay in use while the issuer is down.
    algorithms: the only ones accepted, such as ``["HS256"]``: shared secrets or public keys, never both.
    issuer, audience: what ``iss`` must be, and what ``aud`` must be or contain. A token that names an audience is
        refused where none is given here.
    cookie: the name of the cookie; None to read no cookie.
    session_claim: the claim by which ``gateway.disconnect`` finds the sockets of one session; may be absent.
    leeway: seconds by which the issuer's clock may be ahead (``nbf``). ``exp`` gets none: the socket closes by it.
    max_lifetime: seconds that ``exp`` may lie ahead.

    ``sub`` and ``exp`` are required. Raises ConfigurationError where these cannot work together.
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
        max_lifetime: float = 400 * _DAY,
        clock: Clock | None = None,
    ) -> None:
        self._algorithms = pinned(algorithms)
        self._issuer = issuer
        self._audience = audience
        self.cookie = cookie
        self._session_claim = session_claim
        self._leeway = leeway
        self._max_lifetime = max_lifetime
        self._clock = clock or SystemClock()
        self._jws = verifier(self._algorithms)
        self._key: Any = None
        self._keys: KeySet | None = None
        if (key is None) == (jwks_url is None):
            raise ConfigurationError("give JWTAuthenticator either a key or a jwks_url")
        if key is not None:
            self._key = checked_key(key, self._algorithms)
            if self._key == DEVELOPMENT_SECRET.encode():
                logger.warning("tokens are checked with DEVELOPMENT_SECRET: anybody can sign in as anybody")
        elif jwks_url is not None:
            if self._algorithms[0] in HMAC:
                raise ConfigurationError("a shared secret is never published: give it as key, or pin RS256 or ES256")
            self._keys = KeySet(jwks_url, self._algorithms, self._clock)

    def __call__(self, handshake: Handshake) -> Identity | Awaitable[Identity]:
        """Tells who is connecting; only where a key must be fetched first is the answer awaitable.

        Raises Unauthorized, with the reason for the log.
        """
        token = self._token(handshake)
        if self._keys is None:
            return self._identity(token, self._key)
        key_id, algorithm = self._key_name(token)
        key = self._keys.known(key_id, algorithm)
        return self._identity(token, key) if key is not None else self._wait(token, self._keys, key_id, algorithm)

    async def _wait(self, token: str, keys: KeySet, key_id: str | None, algorithm: str) -> Identity:
        key = await keys.find(key_id, algorithm)
        if key is None:
            raise Unauthorized(f"the issuer has no {algorithm} key {key_id!r:.100}, or could not be asked")
        return self._identity(token, key)

    def _token(self, handshake: Handshake) -> str:
        tokens = set[str]()
        for name, value in handshake.headers:
            if name == "authorization":
                scheme, _, credentials = value.partition(" ")
                if scheme.lower() == "bearer":
                    tokens.add(credentials.strip(" "))
            elif name == "cookie" and self.cookie is not None:
                tokens.update(cookies_in(value, self.cookie))
        tokens.discard("")  # how some apps delete a cookie
        if not tokens:
            raise Unauthorized("no token")
        if len(tokens) > 1:
            raise Unauthorized("several tokens that disagree")
        token = tokens.pop()
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise Unauthorized(f"the token is over {MAX_TOKEN_LENGTH} bytes, or not ASCII")
        return token

    def _key_name(self, token: str) -> tuple[str | None, str]:
        """Reads which key the token says it was signed with: the only part of a header that is ever believed."""
        try:
            header = self._jws.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise _refused(error) from None
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise Unauthorized("the token's algorithm is not among those pinned")
        return header.get("kid"), algorithm

    def _identity(self, token: str, key: Any) -> Identity:
        try:
            payload = self._jws.decode_complete(token, key, self._algorithms)["payload"]
        except jwt.PyJWTError as error:
            raise _refused(error) from None
        claims = _claims(payload)
        self._check_audience(claims)
        expires_at = self._checked_times(claims)
        if "sub" not in claims:
            raise Unauthorized("the token has no sub")
        return Identity(claims["sub"], expires_at, claims.get(self._session_claim))

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise Unauthorized("the token's iss is not the expected issuer")
        audience = claims.get("aud")
        if self._audience is None:
            # RFC 7519 section 4.1.3: who is not among a token's audience must refuse it.
            if audience is not None:
                raise Unauthorized("the token is for an audience (aud), and JWTAuthenticator was given none")
        elif audience != self._audience and not (isinstance(audience, list) and self._audience in audience):
            raise Unauthorized("the token's aud is not, and does not contain, the expected audience")

    def _checked_times(self, claims: Mapping[str, Any]) -> float:
        """Checks by comparisons only, through which an integer of 400 digits passes; as a float it would overflow."""
        now = self._clock.time()
        expires_at = _number(claims, "exp")
        if expires_at is None:
            raise Unauthorized("the token has no exp")
        if expires_at <= now:
            raise Unauthorized("the token has expired")
        if expires_at > now + self._max_lifetime:
            raise Unauthorized(f"the token's exp is more than {self._max_lifetime:.0f} s ahead")
        not_before = _number(claims, "nbf")
        if not_before is not None and not_before > now + self._leeway:
            raise Unauthorized("the token is not valid yet (nbf)")
        return float(expires_at)


def mint_token(
    user_id: str,
    *,
    key: str | bytes = DEVELOPMENT_SECRET,
    algorithm: str = "HS256",
    lifetime: float = _DAY / 2,
    claims: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
) -> str:
    """Signs a token for a user, as ``hubbub token`` does for development and tests.

    lifetime: seconds. claims: added to sub, iat, exp and jti, or put in their place.

    Raises ConfigurationError where the key does not fit the algorithm, Unauthorized where the user id is not usable.
    """
    if algorithm in HMAC:
        checked_key(key, (algorithm,))
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


def _claims(payload: bytes) -> dict[str, Any]:
    if payload.count(b"[") + payload.count(b"{") > MAX_BRACKETS:
        raise Unauthorized("the claims nest too deep")
    try:
        claims = msgspec.json.decode(payload)  # unlike json, it knows no NaN and no half of a surrogate pair
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unauthorized("the claims are not JSON") from None
    if not isinstance(claims, dict):
        raise Unauthorized("the claims are not a JSON object")
    return claims


def _number(claims: Mapping[str, Any], name: str) -> int | float | None:
    value = claims.get(name)
    if value is not None and type(value) not in (int, float):  # True is an int too
        raise Unauthorized(f"the token's {name} is not a number")
    return value


def _refused(error: jwt.PyJWTError) -> Unauthorized:
    # Quoted, because PyJWT may repeat what a stranger wrote into the header, line breaks included.
    return Unauthorized(f"the token is refused: {str(error)[:100]!r}")
