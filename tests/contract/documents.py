"""Strategies for payloads and for documents: valid ones, nearly valid ones, and any JSON at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, get_type_hints

import msgspec
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from hubbub import Contract, Payload
from hubbub.contract.registry import EventSpec

st.register_type_strategy(UnsetType, st.just(UNSET))

# A number that JSON writes without a fraction is an integer: JavaScript cannot tell 1.0 from 1.
_numbers = st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer())
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 11),
    _numbers,
    st.text(),
    st.sampled_from(["online", "red", "small", "circle", "square", "", "2026-01-01T12:00:00Z"]),
)
_keys = st.one_of(st.text(), st.sampled_from(["type", "data", "ts", "id", "kind", "toString", "__proto__"]))
any_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3))


def payloads(payload: type[Payload]) -> st.SearchStrategy[Payload]:
    """Build payloads from their types, with optional fields; most of them within the bounds of `Meta`."""
    hints = get_type_hints(payload, include_extras=True)
    fields = {field.name: _field(hints[field.name]) for field in msgspec.structs.fields(payload)}
    return st.builds(payload, **fields)


def _field(hint: Any) -> st.SearchStrategy[Any]:
    if hint is Any:
        return any_json
    anything = st.from_type(hint)
    bounds = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, msgspec.Meta)]
    if not bounds:
        return anything
    return anything.filter(lambda value: _fits(value, hint)) | anything


def _fits(value: Any, hint: Any) -> bool:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError:
        return False
    return True


def documents(contract: Contract, keep: Callable[[EventSpec], bool]) -> st.SearchStrategy[Any]:
    """Build documents: events of the contract, such events with a mistake, and any JSON."""
    specs = [spec for spec in contract.values() if keep(spec)]
    events = st.one_of([_event(spec.name, payloads(spec.payload)) for spec in specs])
    unknown = st.fixed_dictionaries(
        {"type": st.sampled_from([*contract, "client.a.b", "server.a.b", "toString", ""]) | any_json},
        optional={"data": any_json, "ts": any_json, "id": any_json},
    )
    return st.one_of(events, _with_mistake(events), _with_mistake(_with_mistake(events)), unknown, any_json)


def _event(name: str, data: st.SearchStrategy[Payload]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"type": st.just(name), "data": data.map(as_json), "ts": st.integers(0, 2**53) | _numbers},
        optional={"id": st.text()},
    )


def as_json(payload: Payload) -> Any:
    """Return the JSON of a payload as Python data."""
    return json.loads(msgspec.json.encode(payload))


@st.composite
def _with_mistake(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """Remove something from a good document, replace something in it, or add something to it."""
    document = draw(good)
    containers = [each for each in _containers(document) if each]
    if not containers:
        return draw(any_json)
    container = draw(st.sampled_from(containers))
    key = draw(st.sampled_from(sorted(container) if isinstance(container, dict) else range(len(container))))
    match draw(st.integers(0, 2)):
        case 0:
            del container[key]
        case 1:
            container[key] = draw(any_json)
        case 2 if isinstance(container, dict):
            container[draw(_keys)] = draw(any_json)
    return document


def _containers(document: Any) -> Iterable[Any]:
    if isinstance(document, dict | list):
        yield document
        for inner in document.values() if isinstance(document, dict) else document:
            yield from _containers(inner)
