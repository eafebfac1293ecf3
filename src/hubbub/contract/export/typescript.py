"""Contract -> `contracts.ts`: the types for a client, laid out as a person would write them."""

from __future__ import annotations

from typing import Final

from hubbub.close_codes import CLOSE_CODES, Reconnect
from hubbub.contract.export.descriptions import CLIENT_ID, TS, who_hears
from hubbub.contract.export.shapes import Shapes
from hubbub.contract.export.typescript_guards import Guards
from hubbub.contract.export.typescript_types import alias, comment, declaration, expression, literal
from hubbub.contract.export.walk import in_order, walk
from hubbub.contract.registry import Contract, EventSpec
from hubbub.errors import ContractError

_HEADER: Final = """\
// Generated from the Python contract by `hubbub contract export --format typescript`: never edited.
"""

_ENVELOPE: Final = f"""\
/** One event: the one shape of everything on the socket. */
export type WsEnvelope<T extends string, P> = {{
  type: T
  data: P
  /** {TS} */
  ts: number
  /** {CLIENT_ID} */
  id?: string
}}
"""

_CLOSE_CODE_TYPE: Final = """\
/** Why the server closed a socket, and what the client may do next. */
export type CloseCode = {
  reason: string
  reconnect: Reconnect
}
"""

# Words that can name a class in Python and no type in TypeScript.
_RESERVED: Final = """
any bigint boolean never null number object string symbol undefined unknown void case catch const debugger default
delete do enum export extends false function implements instanceof interface let new package private protected public
static super switch this throw true typeof var
"""

# Names that the file uses itself. A payload type of the same name would shadow them.
_USED: Final = frozenset(
    ["WsEnvelope", "WsEvents", "CloseCode", "Reconnect", "Record", "Pick", "Object", "String", "ArrayOf", "Envelope"]
    + [f"{side}Event{suffix}" for side in ("Client", "Server") for suffix in ("", "s", "Name")]
)


def typescript(contract: Contract, *, guards: bool = False) -> str:
    """Return the contract as one TypeScript file without imports.

    Args:
        contract: The events.
        guards: Whether to write `isClientEvent` and `isServerEvent` too, which check a parsed message at run time.

    Raises:
        ContractError: A type has no JSON, two types have one name, or a type has a name that the file uses itself.
    """
    shapes = walk(contract)
    for name in sorted(shapes.definitions.keys() & {*_USED, *_RESERVED.split()}):
        raise ContractError(f"a payload type is called {name}, which means something else in contracts.ts; rename it")
    events = in_order(contract)
    up = [spec.name for spec in events if spec.from_client]
    down = [spec.name for spec in events if spec.to_client]
    parts = [_HEADER, _ENVELOPE]
    parts += [declaration(name, definition) for name, definition in shapes.definitions.items()]
    parts.append(_event_map(events, shapes))
    parts += _direction("Client", up, "a client sends", "send")
    parts += _direction("Server", down, "the server sends", "on")
    parts += _close_codes()
    if guards:
        parts += _guards(shapes, up, down)
    return "\n".join(parts)


def _event_map(events: list[EventSpec], shapes: Shapes) -> str:
    doc = comment("Every event of this contract: name -> payload.")
    return f"{doc}export type WsEvents = {{\n{''.join(_entry(spec, shapes) for spec in events)}}}\n"


def _entry(spec: EventSpec, shapes: Shapes) -> str:
    first, *rest = spec.doc.split("\n\n")
    heard = who_hears(spec) if spec.to_client else ""
    doc = comment("\n\n".join([f"{first} {heard}".strip(), *rest]), "  ")
    return f"{doc}  {literal(spec.name)}: {expression(shapes.payloads[spec.name], '  ')}\n"


def _direction(side: str, names: list[str], who: str, method: str) -> list[str]:
    event_name, events = f"{side}EventName", f"{side}Events"
    return [
        comment(f"The names of the events that {who}.") + alias(event_name, [*map(literal, names)]),
        comment(f"Event name -> payload of what {who}, for a typed `{method}`.")
        + alias(events, [f"Pick<WsEvents, {event_name}>"]),
        comment(f"Any event that {who}, told apart by its `type`.")
        + alias(f"{side}Event", [f"{{ [T in {event_name}]: WsEnvelope<T, WsEvents[T]> }}[{event_name}]"]),
    ]


def _close_codes() -> list[str]:
    policies = alias("Reconnect", [literal(policy.value) for policy in Reconnect])
    rows = "".join(
        f"  {close.code}: {{ reason: {literal(close.reason)}, reconnect: {literal(close.reconnect.value)} }},\n"
        for close in CLOSE_CODES.values()
    )
    doc = comment("The codes with which the server closes a socket. After any other code, 1006 included: with backoff.")
    table = f"export const closeCodes: {{ readonly [code: number]: CloseCode | undefined }} = {{\n{rows}}}\n"
    return [comment("Whether a client may come back after a close.") + policies, _CLOSE_CODE_TYPE, doc + table]


def _guards(shapes: Shapes, up: list[str], down: list[str]) -> list[str]:
    writer = Guards(shapes)
    exported = [
        writer.event_guard(
            f"is{side}Event", f"{side}Event", names, comment(f"Tells whether a parsed message is an event that {who}.")
        )
        for side, names, who in (("Server", down, "the server sends"), ("Client", up, "a client sends"))
    ]
    return exported + writer.functions()
