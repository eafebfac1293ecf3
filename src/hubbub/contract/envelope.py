"""The one shape of every event on the wire, and its two-step decoding."""

from __future__ import annotations

import time
from typing import Any, Generic, TypeVar

import msgspec

from hubbub.contract.registry import Contract, Payload, spec_of
from hubbub.errors import ContractError, MalformedEvent, UnknownEvent

D = TypeVar("D", covariant=True)
P = TypeVar("P", bound=Payload)


class Envelope(msgspec.Struct, Generic[D], frozen=True, gc=False):
    """One event: `{type, data, ts, id?}` (the seed's `WsEnvelope`).

    Attributes:
        type: The event's name.
        data: Its payload.
        ts: Milliseconds since the epoch.
        id: On a client's event, a correlation id that the client chose. On a server's event, reserved.
    """

    type: str
    data: D
    ts: int | float
    id: str | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, payload: P, *, ts: int | None = None, id: str | None = None) -> Envelope[P]:
        """Return a payload in its envelope, under the name that `@event` declared.

        Args:
            payload: The event.
            ts: Milliseconds since the epoch; by default now.
            id: What becomes the envelope's `id`.

        Raises:
            ContractError: The payload's class is not declared with `@event`.
        """
        return Envelope(
            spec_of(type(payload)).name,
            payload,
            now_ms() if ts is None else ts,
            msgspec.UNSET if id is None else id,
        )

    @property
    def correlation_id(self) -> str | None:
        """Return `id`, or None if there is none."""
        return None if self.id is msgspec.UNSET else self.id


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


_encoder = msgspec.json.Encoder()
_first_step = msgspec.json.Decoder(Envelope[msgspec.Raw])


class _Decoders(dict[type[Payload], msgspec.json.Decoder[Any]]):
    """The decoders of the second step, by payload class. Each is made when it is first needed."""

    def __missing__(self, payload: type[Payload]) -> msgspec.json.Decoder[Any]:
        decoder = self[payload] = msgspec.json.Decoder(payload)
        return decoder


_second_step = _Decoders()


def encode(envelope: Envelope[Payload]) -> bytes:
    """Return an event as JSON in UTF-8.

    The JSON is decoded again, because msgspec checks types only then. So a wrong event fails at its publisher, and not
    at its thousand listeners.

    Raises:
        ContractError: A value does not have the type that its field declares.
    """
    payload_type = type(envelope.data)
    try:
        text = _encoder.encode(envelope)
        _second_step[payload_type].decode(_first_step.decode(text).data)
        return text
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise ContractError(f"{envelope.type} does not fit {payload_type.__name__}: {error}") from error


def decode(text: str, contract: Contract) -> Envelope[Payload]:
    """Return the event in a client's message: first decode the envelope, then `data` by its type.

    Unknown fields are ignored. Declared fields are checked exactly.

    Raises:
        MalformedEvent: The message is not a client's event of the contract.
        UnknownEvent: The event is well-formed, but its `client.*` type is unknown.
    """
    try:
        raw = _first_step.decode(text)
        spec = contract.from_clients.get(raw.type)
        if spec is None:
            raise _rejection(raw)
        data: Payload = _second_step[spec.payload].decode(raw.data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedEvent(f"malformed event: {error}") from None
    return Envelope(raw.type, data, raw.ts, raw.id)


def _rejection(raw: Envelope[msgspec.Raw]) -> MalformedEvent | UnknownEvent:
    """Return the error for an event of a type that clients do not send."""
    if not raw.type.startswith("client."):
        return MalformedEvent("malformed event: a client sends client.* events only")
    if not bytes(raw.data).lstrip().startswith(b"{"):
        return MalformedEvent("malformed event: Expected `object` - at `$.data`")
    return UnknownEvent(raw.type, raw.correlation_id)
