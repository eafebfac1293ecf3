"""Hubbub: a real-time event bus scoped to authenticated users, for Python REST backends."""

from hubbub.auth.authenticator import Authenticator, Handshake, Identity
from hubbub.auth.jwt import DEVELOPMENT_SECRET, JWTAuthenticator, mint_token
from hubbub.auth.origin import OriginPolicy
from hubbub.bus.notifier import init_notifier, notify
from hubbub.close_codes import CLOSE_CODES, CloseCode, Reconnect
from hubbub.connections.router import Handler, Router
from hubbub.context import Context
from hubbub.contract.envelope import Envelope
from hubbub.contract.events import (
    ConversationsChanged,
    InternalDisconnect,
    MessageNew,
    MessageRead,
    PresenceBatch,
    PresenceUpdate,
    Typing,
    UserStatus,
)
from hubbub.contract.registry import ClientEvent, Contract, Payload, ServerEvent, event
from hubbub.contract.topics import Topic
from hubbub.domains.base import Bus, Domain
from hubbub.domains.messenger import MessengerDomain
from hubbub.errors import ClientError, ConfigurationError, ContractError, HubbubError, Unauthorized, Unavailable
from hubbub.gateway import Gateway
from hubbub.limits import Limits
from hubbub.metrics.prometheus import GatewayCollector
from hubbub.outcome import Outcome
from hubbub.presence.base import PresenceState
from hubbub.publisher import Publisher
from hubbub.transports.uvicorn.websocket_protocol import WebSocketProtocol

__all__ = [
    "CLOSE_CODES",
    "DEVELOPMENT_SECRET",
    "Authenticator",
    "Bus",
    "ClientError",
    "ClientEvent",
    "CloseCode",
    "ConfigurationError",
    "Context",
    "Contract",
    "ContractError",
    "ConversationsChanged",
    "Domain",
    "Envelope",
    "Gateway",
    "GatewayCollector",
    "Handler",
    "Handshake",
    "HubbubError",
    "Identity",
    "InternalDisconnect",
    "JWTAuthenticator",
    "Limits",
    "MessageNew",
    "MessageRead",
    "MessengerDomain",
    "OriginPolicy",
    "Outcome",
    "Payload",
    "PresenceBatch",
    "PresenceState",
    "PresenceUpdate",
    "Publisher",
    "Reconnect",
    "Router",
    "ServerEvent",
    "Topic",
    "Typing",
    "Unauthorized",
    "Unavailable",
    "UserStatus",
    "WebSocketProtocol",
    "event",
    "init_notifier",
    "mint_token",
    "notify",
]
