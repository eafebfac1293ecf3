"""Why a socket closes, as data: each code says whether the client may reconnect."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Reconnect(Enum):
    """Whether a client may come back after a close."""

    NEVER = "never"
    """It would meet the same again."""
    WITH_NEW_TOKEN = "with a new token"
    """Once somebody has logged in again."""
    WITH_BACKOFF = "with backoff"
    """After a random wait that grows with each attempt."""
    AFTER_DELAY = "after the delay in the reason"
    """After the milliseconds that the reason names: ``restart; retry_after_ms=N``."""


class CloseCode(NamedTuple):
    """One close code: its number, the default reason on the wire, and what the client may do next."""

    code: int
    """The number, as RFC 6455 section 7.4 understands it."""
    reason: str
    """What the wire says beside it, unless there is more to say."""
    reconnect: Reconnect
    """Whether the client may come back."""


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

#: Every close code Hubbub sends, by number. A client may reconnect with backoff after any other code, 1006 included.
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

#: The peer's close frame carried no code, and the connection ended without a close frame (RFC 6455 section 7.4.1).
NO_STATUS_RECEIVED: Final = 1005
ABNORMAL_CLOSURE: Final = 1006
