"""What can go wrong, as types.

HubbubError
├── ConfigurationError      the app wired Hubbub wrongly; raised at set-up
├── ContractError           an event declared or published does not fit the contract: our side's fault
├── Unavailable             what an answer depends on is away for the moment; logged once, where it was found
└── ClientError             the client's fault; never logged with a traceback
    ├── Unauthorized        no, bad or expired credentials: close 4401
    ├── MalformedEvent      what arrived is no event of the contract: close 4400
    └── UnknownEvent        a well-formed ``client.*`` event nobody handles: answered, the socket stays open
"""

from __future__ import annotations


class HubbubError(Exception):
    """Is the base of every error that Hubbub raises."""


class ConfigurationError(HubbubError):
    """Hubbub was set up in a way that cannot work; the message names the remedy."""


class ContractError(HubbubError):
    """An event was declared or published that does not fit the contract."""


class Unavailable(HubbubError):
    """What an answer depends on is away for the moment: over REST, that is a 503.

    Whoever raises it has logged why, so it needs no traceback.
    """


class ClientError(HubbubError):
    """The client did something wrong; the message may be shown to it."""


class Unauthorized(ClientError):
    """The handshake carries no valid credentials.

    An authenticator raises it; the message goes to the log, never to the client, who always reads ``unauthorized``.
    """


class MalformedEvent(ClientError):
    """A message that is not an event of the contract; the message is sent as the reason of close 4400."""


class UnknownEvent(ClientError):
    """An event whose type no domain here handles: a newer client may be talking to an older node."""

    def __init__(self, event_type: str, correlation_id: str | None) -> None:
        super().__init__(f"no handler for {event_type[:128]!r} on this server")
        self.correlation_id = correlation_id
