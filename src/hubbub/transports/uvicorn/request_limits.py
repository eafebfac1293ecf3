"""The head of an HTTP request, target and headers: what is refused of it before anybody is asked."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import httptools

from hubbub.connections.admission import Refusal
from hubbub.limits import Limits

logger = logging.getLogger("hubbub.http")

MALFORMED: Final = Refusal(400, "not an HTTP request")
BROKEN: Final = Refusal(500, "internal error")
TOO_SOON: Final = Refusal(400, "a client waits for the response to its upgrade")  # RFC 6455 section 4.1
TIMEOUT: Final = Refusal(408, "the head of the request took too long")
LONG_TARGET: Final = Refusal(414, "the request target is too long")
LONG_HEADERS: Final = Refusal(431, "the headers are too long")
MANY_HEADERS: Final = Refusal(431, "too many headers")
OTHER_VERSION: Final = Refusal(505, "a WebSocket takes HTTP/1.1")  # RFC 6455 section 4.1

REASONS: Final = {
    MALFORMED: "malformed request",
    BROKEN: "internal",
    TOO_SOON: "early data",
    TIMEOUT: "header timeout",
    LONG_TARGET: "target bytes",
    LONG_HEADERS: "header bytes",
    MANY_HEADERS: "headers",
    OTHER_VERSION: "http version",
}
"""What each refusal is counted as."""


def fault(target: bytes, headers: Sequence[tuple[bytes, bytes]], limits: Limits) -> Refusal | None:
    """Gives the reason to refuse a complete head, or None."""
    if len(target) > limits.header_bytes:
        return LONG_TARGET
    if len(target) + sum([len(name) + len(value) + 4 for name, value in headers]) > limits.header_bytes:
        return LONG_HEADERS
    return MANY_HEADERS if len(headers) > limits.headers else None


def fault_of_part(target: bytes, arrived: int, limits: Limits) -> Refusal | None:
    """Gives the reason to refuse a head that is not complete yet, or None.

    target: what has arrived of it. arrived: bytes of the head so far; the parser keeps what it has not understood.
    """
    if arrived <= limits.header_bytes:
        return None
    return LONG_TARGET if len(target) > arrived // 2 else LONG_HEADERS


def fault_of(error: httptools.HttpParserError) -> Refusal:
    """Gives the reason to refuse what a parser has stopped at: it also passes on what its callbacks raise."""
    cause = error.__context__
    if cause is None or isinstance(cause, httptools.HttpParserError | UnicodeError):  # such as uvicorn of a target
        return MALFORMED
    logger.error("a request could not be taken in", exc_info=cause)
    return BROKEN
