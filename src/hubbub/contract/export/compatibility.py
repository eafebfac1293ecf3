"""Old contract, new contract -> the changes, and which clients and servers each of them breaks.

While a change rolls out, old and new clients talk with old and new servers. For an event that clients send: if new
servers refuse what old clients send, old clients break; if old servers refuse what new clients send, old servers break.
For an event that the server sends it is the other way round. A new event is safe: a server answers an unknown event
with an error, and a client ignores it. A new optional field is safe: unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hubbub.close_codes import Reconnect
from hubbub.contract.export.json_schema import AUDIENCE, CLOSE_CODES, DIRECTION
from hubbub.contract.export.schema_diff import Definitions, Difference, Schema, accepts, differences
from hubbub.errors import ContractError

Party: TypeAlias = Literal["old clients", "old servers"]

_SIDES: Final = {
    "client": frozenset(["client"]),
    "server": frozenset(["server"]),
    "both": frozenset(["client", "server"]),
    "internal": frozenset[str](),
}


@dataclass(frozen=True)
class Change:
    """One change between two contracts.

    Attributes:
        subject: The event, or the close code.
        text: What has changed.
        breaks: The parties that the change breaks; empty if it is safe.
    """

    subject: str
    text: str
    breaks: tuple[Party, ...] = ()


@dataclass(frozen=True)
class _Event:
    name: str
    sides: frozenset[str]
    envelope: Schema
    audience: frozenset[str]

    @property
    def data(self) -> Schema:
        return self.envelope.part(self.envelope.keywords["properties"]["data"])


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """Return the changes between two JSON Schema exports (`schema_document`), the breaking ones first.

    Raises:
        ContractError: One of them is not such a document.
    """
    before, after = _events(old), _events(new)
    found = [*_removed(before, after), *_added(before, after)]
    for name in sorted(before.keys() & after.keys()):
        found += _changed(before[name], after[name])
    if CLOSE_CODES in old and CLOSE_CODES in new:
        found += _close_codes(old[CLOSE_CODES], new[CLOSE_CODES])
    return sorted(found, key=lambda change: (not change.breaks, change.subject))


def _events(document: dict[str, Any]) -> dict[str, _Event]:
    try:
        definitions = Definitions(document)
        events = [
            _Event(name, _SIDES[schema[DIRECTION]], Schema(schema, definitions), _audience(schema.get(AUDIENCE, {})))
            for name, schema in document["$defs"].items()
            if DIRECTION in schema and schema["properties"]["data"] is not None
        ]
    except (KeyError, TypeError, AttributeError):
        events = []
    if not events:
        raise ContractError("not a contract: expected what `hubbub contract export --format json-schema` writes")
    return {event.name: event for event in events if event.sides}


def _audience(audience: dict[str, Any]) -> frozenset[str]:
    listeners = [f"subscribers of {kind}:<{field}>" for kind, field in audience.get("topics", {}).items()]
    listeners += [f"the user in {field}" for field in audience.get("users", ())]
    if audience.get("addressed"):
        listeners.append("the users that the server names")
    return frozenset(listeners or ["the socket that asked"])


def _removed(before: dict[str, _Event], after: dict[str, _Event]) -> Iterator[Change]:
    for name in before.keys() - after.keys():
        successors = _successors(before[name], before, after)
        text = f"event renamed to {successors[0]}" if len(successors) == 1 else "event removed"
        yield Change(name, text, ("old clients",))


def _successors(removed: _Event, before: dict[str, _Event], after: dict[str, _Event]) -> list[str]:
    """Return the new events that have the sides and the payload of one that was removed."""
    return [
        name
        for name in sorted(after.keys() - before.keys())
        if after[name].sides == removed.sides
        and accepts(after[name].data, removed.data)
        and accepts(removed.data, after[name].data)
    ]


def _added(before: dict[str, _Event], after: dict[str, _Event]) -> Iterator[Change]:
    for name in after.keys() - before.keys():
        yield Change(name, "event added")


def _changed(before: _Event, after: _Event) -> Iterator[Change]:
    name = before.name
    for side in sorted(before.sides - after.sides):
        text = "clients may no longer send it" if side == "client" else "the server no longer sends it"
        yield Change(name, text, ("old clients",))
    for side in sorted(after.sides - before.sides):
        yield Change(name, "clients may send it too" if side == "client" else "the server sends it too")
    for difference in differences(before.envelope, after.envelope):
        yield Change(name, f"{difference.path}: {difference.text}", _broken(difference, before.sides & after.sides))
    if "server" in before.sides & after.sides:
        for listeners in sorted(before.audience - after.audience):
            yield Change(name, f"audience narrowed: no longer heard by {listeners}", ("old clients",))
        for listeners in sorted(after.audience - before.audience):
            yield Change(name, f"audience widened: now also heard by {listeners}")


def _broken(difference: Difference, sides: frozenset[str]) -> tuple[Party, ...]:
    up, down = "client" in sides, "server" in sides
    old_clients = difference.removed or (up and difference.new_refuses_old) or (down and difference.old_refuses_new)
    old_servers = (up and difference.old_refuses_new) or (down and difference.new_refuses_old)
    clients: tuple[Party, ...] = ("old clients",) if old_clients else ()
    servers: tuple[Party, ...] = ("old servers",) if old_servers else ()
    return clients + servers


def _close_codes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """Compare by what old clients do: a client built before a code existed reconnects after it with backoff."""
    for code in sorted(after):
        policy = after[code]["reconnect"]
        known = before.get(code, {}).get("reconnect", Reconnect.WITH_BACKOFF.value)
        if policy != known:
            text = f"the client may reconnect: {known} became {policy}"
            yield Change(f"close code {code}", text, ("old clients",))
        elif code not in before:
            yield Change(f"close code {code}", "close code added")
