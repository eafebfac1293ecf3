"""The algorithms and keys that tokens are verified with, checked once when the app is set up."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import jwt
from jwt.algorithms import HMACAlgorithm, has_crypto
from jwt.utils import base64url_decode, base64url_encode

from hubbub.errors import ConfigurationError

HMAC: Final = ("HS256", "HS384", "HS512")
"""The algorithms with a shared secret."""

KEY_TYPES: Final[dict[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The algorithms with a public key, and the key type and curve of each (RFC 7518 section 6, RFC 8037)."""

_NEW_SECRET: Final = 'python -c "import secrets; print(secrets.token_hex(64))"'


def check_algorithms(algorithms: Sequence[str]) -> tuple[str, ...]:
    """Return the algorithms that an app pins, if they are known, of one kind, and installed.

    Raises:
        ConfigurationError: If they are not.
    """
    if isinstance(algorithms, str):
        raise ConfigurationError(f"algorithms takes a list: write [{algorithms!r}]")
    for name in algorithms:
        if name not in HMAC and name not in KEY_TYPES:
            raise ConfigurationError(f"unknown algorithm {name!r}: use one of {', '.join((*HMAC, *KEY_TYPES))}")
    if not algorithms:
        raise ConfigurationError('algorithms is empty: name those that the issuer signs with, such as ["HS256"]')
    shared = [name in HMAC for name in algorithms]
    if any(shared) and not all(shared):
        raise ConfigurationError(
            "algorithms mixes shared secrets (HS*) with public keys: a public key could then be used as a secret; "
            "pin one kind, or use two authenticators"
        )
    if not any(shared) and not has_crypto:
        raise ConfigurationError(f"{', '.join(algorithms)} needs cryptography: pip install 'hubbub[crypto]'")
    return tuple(algorithms)


def make_verifier(algorithms: Sequence[str]) -> jwt.PyJWS:
    """Return a verifier that knows the given algorithms and no others."""
    verifier = Verifier(algorithms=[])
    for name in algorithms:
        algorithm = jwt.get_algorithm_by_name(name)
        verifier.register_algorithm(
            name, _PreparedHMAC(algorithm.hash_alg) if isinstance(algorithm, HMACAlgorithm) else algorithm
        )
    return verifier


def prepare_key(key: str | bytes, algorithms: Sequence[str]) -> Any:
    """Return a key in the form that `make_verifier` expects, after checking that it fits every algorithm.

    Raises:
        ConfigurationError: If it does not.
    """
    prepared: Any = None
    for name in algorithms:
        algorithm = jwt.get_algorithm_by_name(name)
        expected = _expected(name)
        try:
            prepared = algorithm.prepare_key(key)
        except Exception as error:  # parsers raise many types; the cause shows which
            raise ConfigurationError(f"the key does not fit {name}: expected {expected}") from error
        if algorithm.check_key_length(prepared) is not None:
            raise ConfigurationError(f"the key is too short for {name}: expected {expected}")
        if hasattr(prepared, "private_bytes"):
            raise ConfigurationError(f"the key is private, and only the public one is needed: expected {expected}")
    return prepared


def _expected(name: str) -> str:
    if name in HMAC:
        # RFC 7518 section 3.2: at least as long as the hash.
        length = int(name.removeprefix("HS")) // 8
        return f"a random secret of {length} bytes or more (no PEM, no JWK), such as from {_NEW_SECRET}"
    key_type, curve = KEY_TYPES[name]
    return f"a public key in PEM: {key_type}, {curve or '2048 bits or more'}"


class Verifier(jwt.PyJWS):
    """PyJWT's verifier with faster base64: PyJWT's own checks every character in Python, a third of the time."""

    @staticmethod
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        """Decode a part of a token. What encodes back to the same text is valid; for the rest, ask PyJWT."""
        with contextlib.suppress(ValueError):
            decoded = base64url_decode(segment)
            if base64url_encode(decoded) == segment:
                return decoded
        return jwt.PyJWS._decode_base64url_segment(segment, name)


class _PreparedHMAC(HMACAlgorithm):
    """HMAC with a key from `prepare_key`. PyJWT's own looks for PEM, DER and JWK in the key at every token."""

    def prepare_key(self, key: Any) -> Any:
        """Return the key as it is."""
        return key
