"""From an event to a publication: what is checked and encoded before an event is published, on a node or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.bus.notifier import Event
from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.registry import Contract, EventSpec, ServerEvent
from hubbub.errors import ContractError
from hubbub.frames import text_frame

MAX_EVENT_BYTES: Final = 60 * 1024
"""The largest event. With its header on the way to other nodes it takes up to 64 KiB."""


def prepare(
    contract: Contract, event: Event, users: Iterable[str] | None = None, exclude: str | None = None
) -> Publication:
    """Check and encode an event, in any thread.

    Args:
        contract: The events that may be published.
        event: A payload or an envelope.
        users: For an addressed event, the users whose sockets hear it.
        exclude: The id of a socket that does not hear it.

    Raises:
        ContractError: The event may not be published.
    """
    envelope = event if isinstance(event, Envelope) else Envelope.of(event)
    spec = spec_in(contract, envelope)
    if not spec.audience:
        raise ContractError(f"{spec.name} has no audience: it is an answer to one socket, and cannot be published")
    data = encode(envelope)
    if len(data) > MAX_EVENT_BYTES:
        raise ContractError(
            f"{spec.name} takes {len(data)} bytes, expected at most {MAX_EVENT_BYTES}: "
            "let it say what has changed, and let clients fetch that over REST"
        )
    named = _users_of(spec, envelope, users)
    return Publication(spec.name, text_frame(data), spec.topics_of(envelope.data), named, exclude)


def spec_in(contract: Contract, envelope: Envelope[ServerEvent]) -> EventSpec:
    """Return what a contract says about an event that the server sends.

    Raises:
        ContractError: The contract has no such event.
    """
    spec = contract.to_clients.get(type(envelope.data))
    if spec is None or spec.name != envelope.type:
        raise _not_in_contract(contract, envelope)
    return spec


def _not_in_contract(contract: Contract, envelope: Envelope[ServerEvent]) -> ContractError:
    spec = contract.get(envelope.type)
    if spec is None:
        return ContractError(
            f"{envelope.type} is not in this contract: pass its domain to Gateway(domains=[...]), "
            "and the gateway's contract to a Publisher"
        )
    if type(envelope.data) is not spec.payload:
        return ContractError(f"{spec.name} carries {spec.payload.__name__}, got {type(envelope.data).__name__}")
    return ContractError(f"{spec.name} is not an event that the server sends")


def _users_of(spec: EventSpec, envelope: Envelope[ServerEvent], users: Iterable[str] | None) -> tuple[str, ...]:
    """Return the users for which an event is "self": those its payload names, or its publisher if it is addressed."""
    if not spec.audience.addressed:
        if users is None:
            return spec.users_of(envelope.data)
        raise ContractError(f"publishing {spec.name} takes no users=: its payload names its audience")
    if users is not None and not isinstance(users, str):
        named = tuple(users)
        if all(isinstance(user, str) for user in named):
            return named
    raise ContractError(f"publishing {spec.name} takes users=[...], a list of user ids")
