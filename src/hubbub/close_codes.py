"""Why a socket closes, as data: each code says whether the client may reconnect."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Reconnect(Enum):
    """Whether a client may reconnect after a close."""

    NEVER = "never"
    """A new connection would end in the same way."""
    WITH_NEW_TOKEN = "with a new token"
    """After a new login."""
    WITH_BACKOFF = "with backoff"
    """After a random delay that grows with each attempt."""
    AFTER_DELAY = "after the delay in the reason"
    """After the milliseconds named in the reason: `restart; retry_after_ms=N`."""


class CloseCode(NamedTuple):
    """One close code: its number, the default reason on the wire, and what the client may do next."""

    code: int
    """The number (RFC 6455 section 7.4)."""
    reason: str
    """The reason sent with it; some closes send a more detailed one."""
    reconnect: Reconnect
    """Whether the client may reconnect."""


MALFORMED: Final = CloseCode(4400, "malformed event", Reconnect.NEVER)
UNAUTHORIZED: Final = CloseCode(4401, "unauthorized", Reconnect.WITH_NEW_TOKEN)
WITHDRAWN: Final = CloseCode(4403, "access withdrawn", Reconnect.WITH_NEW_TOKEN)
HEARTBEAT_TIMEOUT: Final = CloseCode(4408, "heartbeat timeout", Reconnect.WITH_BACKOFF)
SLOW_CONSUMER: Final = CloseCode(4413, "slow consumer", Reconnect.WITH_BACKOFF)
RATE_LIMITED: Final = CloseCode(4429, "rate limited", Reconnect.WITH_BACKOFF)
PROTOCOL_ERROR: Final = CloseCode(1002, "protocol error", Reconnect.NEVER)
UNSUPPORTED_DATA: Final = CloseCode(1003, "text frames only", Reconnect.NEVER)
INVALID_DATA: Final = CloseCode(1007, "invalid UTF-8", Reconnect.NEVER)
MESSAGE_TOO_BIG: Final = CloseCode(1009, "message too big", Reconnect.NEVER)
INTERNAL_ERROR: Final = CloseCode(1011, "internal error", Reconnect.WITH_BACKOFF)
RESTART: Final = CloseCode(1012, "restart", Reconnect.AFTER_DELAY)
OVERLOADED: Final = CloseCode(1013, "try again later", Reconnect.WITH_BACKOFF)

CLOSE_CODES: Final[dict[int, CloseCode]] = {
    close.code: close
    for close in (
        MALFORMED,
        UNAUTHORIZED,
        WITHDRAWN,
        HEARTBEAT_TIMEOUT,
        SLOW_CONSUMER,
        RATE_LIMITED,
        PROTOCOL_ERROR,
        UNSUPPORTED_DATA,
        INVALID_DATA,
        MESSAGE_TOO_BIG,
        INTERNAL_ERROR,
        RESTART,
        OVERLOADED,
    )
}
"""Every close code Hubbub sends, by number. A client may reconnect with backoff after any other code, 1006 included."""

NORMAL_CLOSURE: Final = 1000
"""Codes of RFC 6455 section 7.4.1 that Hubbub receives or reports, but has no reason of its own to send."""
GOING_AWAY: Final = 1001
NO_STATUS_RECEIVED: Final = 1005  # the peer's close frame has no code
ABNORMAL_CLOSURE: Final = 1006  # the connection ended without a close frame

ORDINARY: Final = frozenset({NORMAL_CLOSURE, GOING_AWAY, NO_STATUS_RECEIVED, ABNORMAL_CLOSURE})
"""The codes with which connections end when nothing is wrong."""
