"""The head of an HTTP request, its target and headers: what is refused before the app or the gateway sees it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import httptools

from hubbub.connections.admission import Refusal
from hubbub.limits import Limits

logger = logging.getLogger("hubbub.http")

MALFORMED: Final = Refusal(400, "not an HTTP request")
INTERNAL_ERROR: Final = Refusal(500, "internal error")
EARLY_DATA: Final = Refusal(400, "a client waits for the response to its upgrade")  # RFC 6455 section 4.1
TIMEOUT: Final = Refusal(408, "the head of the request took too long")
LONG_TARGET: Final = Refusal(414, "the request target is too long")
LONG_HEADERS: Final = Refusal(431, "the headers are too long")
TOO_MANY_HEADERS: Final = Refusal(431, "too many headers")
WRONG_VERSION: Final = Refusal(505, "a WebSocket takes HTTP/1.1")  # RFC 6455 section 4.1

REASONS: Final = {
    MALFORMED: "malformed request",
    INTERNAL_ERROR: "internal",
    EARLY_DATA: "early data",
    TIMEOUT: "header timeout",
    LONG_TARGET: "target bytes",
    LONG_HEADERS: "header bytes",
    TOO_MANY_HEADERS: "headers",
    WRONG_VERSION: "http version",
}
"""The name under which `Stats.refusals` counts each refusal."""


def check_head(target: bytes, headers: Sequence[tuple[bytes, bytes]], limits: Limits) -> Refusal | None:
    """Return why a complete head is refused, or None."""
    if len(target) > limits.header_bytes:
        return LONG_TARGET
    if len(target) + sum([len(name) + len(value) + 4 for name, value in headers]) > limits.header_bytes:
        return LONG_HEADERS
    return TOO_MANY_HEADERS if len(headers) > limits.headers else None


def check_partial_head(target: bytes, received: int, limits: Limits) -> Refusal | None:
    """Return why a head that is not complete yet is refused, or None.

    Args:
        target: The part of the target that has arrived.
        received: Bytes of the head so far; the parser keeps the name or value that it is in the middle of.
        limits: The gateway's.
    """
    if received <= limits.header_bytes:
        return None
    return LONG_TARGET if len(target) > received // 2 else LONG_HEADERS


def refusal_for_error(error: httptools.HttpParserError) -> Refusal:
    """Return the refusal for an error of the parser, which also wraps what its callbacks raise."""
    cause = error.__context__
    if cause is None or isinstance(cause, httptools.HttpParserError | UnicodeError):  # uvicorn: a target not in ASCII
        return MALFORMED
    logger.error("a request could not be read", exc_info=cause)
    return INTERNAL_ERROR
