"""The prose in the exports: docstrings and audiences as Markdown, close codes as a table."""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields

from hubbub.close_codes import CLOSE_CODES
from hubbub.contract.registry import EventSpec

TS = "Milliseconds since the epoch."
CLIENT_ID = "The client's own correlation id, echoed in the `server.system.error` that this event caused."
SERVER_ID = "On `server.system.error` the id of the client's event that caused it; otherwise reserved."


def markdown(docstring: str) -> str:
    """Return a docstring as Markdown: double backticks become single ones."""
    return docstring.replace("``", "`")


def summary(spec: EventSpec) -> str:
    """Return the first sentence of an event's docstring, without its full stop."""
    paragraph = " ".join(markdown(spec.doc).split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".")


def audience(spec: EventSpec) -> dict[str, Any]:
    """Return an event's audience as data, with field names of the wire.

    Returns:
        `{topics: {kind: field}, users: [field], addressed}`.
    """
    wire = {field.name: field.encode_name for field in fields(spec.payload)}
    return {
        "topics": {kind: wire[field] for kind, field in sorted(spec.audience.topics)},
        "users": sorted(wire[field] for field in spec.audience.users),
        "addressed": spec.audience.addressed,
    }


def who_hears(spec: EventSpec) -> str:
    """Return one sentence about who hears an event."""
    heard = audience(spec)
    listeners = [f"the subscribers of `{kind}:<{field}>`" for kind, field in heard["topics"].items()]
    listeners += [f"every socket of `{field}`" for field in heard["users"]]
    if heard["addressed"]:
        listeners.append("every socket of the users that the server names")
    return f"Heard by {' and '.join(listeners)}." if listeners else "Sent to one socket."


def close_code_table() -> str:
    """Return the close codes as a Markdown table."""
    rows = [f"| {close.code} | {close.reason} | {close.reconnect.value} |" for close in CLOSE_CODES.values()]
    rows.append("| any other, 1006 included | | with backoff |")
    return "\n".join(["| code | reason | the client may reconnect |", "|---|---|---|", *rows])
