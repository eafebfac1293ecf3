"""What is checked and encoded before an event is published, wherever that is: on a node, in a job, in a script."""

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
"""What a published event may take: with all that is said about it on the way to other nodes, 64 KiB."""


def prepare(
    contract: Contract, event: Event, users: Iterable[str] | None = None, exclude: str | None = None
) -> Publication:
    """Checks and encodes an event, in whatever thread; raises ContractError where it may not be published.

    exclude: the id of a socket that does not hear it.
    """
    envelope = event if isinstance(event, Envelope) else Envelope.of(event)
    spec = spec_in(contract, envelope)
    if not spec.audience:
        raise ContractError(f"{spec.name} has no audience: it is an answer to one socket, and cannot be published")
    data = encode(envelope)
    if len(data) > MAX_EVENT_BYTES:
        raise ContractError(
            f"{spec.name} takes {len(data)} bytes, and {MAX_EVENT_BYTES} are the most: "
            "let it say what has changed, and let clients fetch that over REST"
        )
    named = _users_of(spec, envelope, users)
    return Publication(spec.name, text_frame(data), spec.topics_of(envelope.data), named, exclude)


def spec_in(contract: Contract, envelope: Envelope[ServerEvent]) -> EventSpec:
    """Finds what a contract says about an event that the server sends; raises ContractError where it is none."""
    spec = contract.to_clients.get(type(envelope.data))
    if spec is None or spec.name != envelope.type:
        raise _stranger(contract, envelope)
    return spec


def _stranger(contract: Contract, envelope: Envelope[ServerEvent]) -> ContractError:
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
    """Gives the users for whom an event is "self": those its payload names, or for an addressed one its publisher."""
    if not spec.audience.addressed:
        if users is None:
            return spec.users_of(envelope.data)
        raise ContractError(f"publishing {spec.name} takes no users=: its payload names its audience")
    if users is not None and not isinstance(users, str):
        named = tuple(users)
        if all(isinstance(user, str) for user in named):
            return named
    raise ContractError(f"publishing {spec.name} takes users=[...], a list of user ids")
