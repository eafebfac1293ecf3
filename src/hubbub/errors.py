"""The exceptions of Hubbub.

HubbubError
├── ConfigurationError      Hubbub is set up wrongly; raised at set-up
├── ContractError           a declared or published event does not fit the contract: the server's fault
├── Unavailable             a service that the answer depends on is down for the moment; logged where it was found
└── ClientError             the client's fault; never logged with a traceback
    ├── Unauthorized        no, bad or expired credentials: close 4401
    ├── MalformedEvent      a message is not an event of the contract: close 4400
    └── UnknownEvent        no domain handles a well-formed `client.*` event: answered, the socket stays open
"""

from __future__ import annotations


class HubbubError(Exception):
    """The base class of every error that Hubbub raises."""


class ConfigurationError(HubbubError):
    """Hubbub is set up in a way that cannot work; the message names the remedy."""


class ContractError(HubbubError):
    """A declared or published event does not fit the contract."""


class Unavailable(HubbubError):
    """A service that the answer depends on is down for the moment: over REST, answer 503.

    The reason is logged already, so no traceback is needed.
    """


class ClientError(HubbubError):
    """The client did something wrong; the message may be shown to it."""


class Unauthorized(ClientError):
    """The handshake has no valid credentials.

    Raised by an authenticator. The message goes to the log, never to the client, which always reads `unauthorized`.
    """


class MalformedEvent(ClientError):
    """A client's message is not an event of the contract. The error's message is the reason sent with close 4400."""


class UnknownEvent(ClientError):
    """No domain handles this type of event, as when a newer client is connected to an older node."""

    def __init__(self, event_type: str, correlation_id: str | None) -> None:
        super().__init__(f"no handler for {event_type[:128]!r} on this server")
        self.correlation_id = correlation_id
