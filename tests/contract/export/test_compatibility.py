"""Which changes of a contract break old clients or old servers, and which are safe."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, UnsetType

from hubbub import ClientEvent, Contract, ContractError, Payload, ServerEvent, event
from hubbub.contract.export.compatibility import Change, changes
from hubbub.contract.export.json_schema import json_schema, schema_document
from tests.contract.kinds import MESSENGER, WITH_KINDS, payload_named
from tests.contract.programs import ROOT

CLIENTS = "old clients"
SERVERS = "old servers"
NAME = {"up": "client.shop.thing", "down": "server.shop.thing", "both": "client.shop.thing"}


def contract(direction: str, *fields: Any, name: str | None = None, **audience: Any) -> dict[str, Any]:
    """Return the document of a contract of one event, called Thing."""
    base = {"up": ClientEvent, "down": ServerEvent, "both": Both}[direction]
    payload = payload_named("Thing", base, list(fields))
    return schema_document(Contract([event(name or NAME[direction], **audience)(payload)]))


class Both(ClientEvent, ServerEvent, frozen=True):
    pass


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Inner(Payload, frozen=True):
    a: str


class InnerWithMore(Payload, frozen=True):
    a: str
    b: int


class InnerWithNote(Payload, frozen=True):
    a: str
    note: str | UnsetType = UNSET


class InnerOfTwo(Payload, frozen=True):
    a: Literal["x", "y"]


class Closed(Payload, frozen=True, forbid_unknown_fields=True):
    a: str


class Tree(Payload, frozen=True):
    label: str
    children: tuple[Tree, ...]


class OtherTree(Payload, frozen=True):
    label: int
    children: tuple[OtherTree, ...]


class Leaf(Payload, frozen=True, tag=True):
    pass


class NotedLeaf(Payload, frozen=True, tag="Leaf"):
    note: str | UnsetType = UNSET


class Branch(Payload, frozen=True, tag=True):
    pass


class Twig(Payload, frozen=True, tag=True):
    pass


Optional = str | UnsetType
A = ("a", str)

FIELDS: dict[str, tuple[list[Any], list[Any], set[str], set[str]]] = {
    "nothing": ([A], [A], set(), set()),
    "optional field added": ([A], [A, ("b", Optional, UNSET)], set(), set()),
    "field with a default added": ([A], [A, ("b", int, 1)], set(), set()),
    "required field added": ([A], [A, ("b", str)], {CLIENTS}, {SERVERS}),
    "required field removed": ([A, ("b", str)], [A], {CLIENTS, SERVERS}, {CLIENTS}),
    "optional field removed": ([A, ("b", Optional, UNSET)], [A], {CLIENTS}, {CLIENTS}),
    "field renamed": ([A, ("b", str)], [A, ("c", str)], {CLIENTS, SERVERS}, {CLIENTS, SERVERS}),
    "field became required": ([("a", Optional, UNSET)], [A], {CLIENTS}, {SERVERS}),
    "field became optional": ([A], [("a", Optional, UNSET)], {SERVERS}, {CLIENTS}),
    "type changed": ([A], [("a", int)], {CLIENTS, SERVERS}, {CLIENTS, SERVERS}),
    "type narrowed to a literal": ([A], [("a", Literal["x", "y"])], {CLIENTS}, {SERVERS}),
    "type widened to a union": ([A], [("a", str | None)], {SERVERS}, {CLIENTS}),
    "integer became number": ([("a", int)], [("a", float)], {SERVERS}, {CLIENTS}),
    "value added": ([("a", Literal["x"])], [("a", Literal["x", "y"])], {SERVERS}, {CLIENTS}),
    "value removed": ([("a", Literal["x", "y"])], [("a", Literal["x"])], {CLIENTS}, {SERVERS}),
    "values in another order": ([("a", Literal["x", "y"])], [("a", Literal["y", "x"])], set(), set()),
    "literal became an enum of the same values": ([("a", Literal["red", "blue"])], [("a", Colour)], set(), set()),
    "union in another order": ([("a", str | int)], [("a", int | str)], set(), set()),
    "bound tightened": ([("a", int)], [("a", Annotated[int, Meta(ge=1)])], {CLIENTS}, {SERVERS}),
    "bound loosened": (
        [("a", Annotated[int, Meta(ge=2, le=3)])],
        [("a", Annotated[int, Meta(ge=1, le=3)])],
        {SERVERS},
        {CLIENTS},
    ),
    "pattern added": ([A], [("a", Annotated[str, Meta(pattern="^x$")])], {CLIENTS}, {SERVERS}),
    "description added": ([A], [("a", Annotated[str, Meta(description="Words.")])], set(), set()),
    "list became tuple": ([("a", list[str])], [("a", tuple[str, ...])], set(), set()),
    "list shortened": ([("a", list[str])], [("a", Annotated[list[str], Meta(max_length=3)])], {CLIENTS}, {SERVERS}),
    "item narrowed": ([("a", list[str])], [("a", list[Literal["x"]])], {CLIENTS}, {SERVERS}),
    "list became a pair": ([("a", list[str])], [("a", tuple[str, str])], {CLIENTS}, {SERVERS}),
    "pair unchanged": ([("a", tuple[str, int])], [("a", tuple[str, int])], set(), set()),
    "pair narrowed": ([("a", tuple[str, int])], [("a", tuple[Literal["x"], int])], {CLIENTS}, {SERVERS}),
    "table narrowed": ([("a", dict[str, int | str])], [("a", dict[str, int])], {CLIENTS}, {SERVERS}),
    "nested field added": ([("a", Inner)], [("a", InnerWithMore)], {CLIENTS}, {SERVERS}),
    "nested field added behind null": ([("a", Inner | None)], [("a", InnerWithMore | None)], {CLIENTS}, {SERVERS}),
    "nested optional field removed": ([("a", InnerWithNote)], [("a", Inner)], {CLIENTS}, {CLIENTS}),
    "nested optional field removed behind null": (
        [("a", InnerWithNote | None)],
        [("a", Inner | None)],
        {CLIENTS},
        {CLIENTS},
    ),
    "nested required field removed behind null": (
        [("a", InnerWithMore | None)],
        [("a", Inner | None)],
        {CLIENTS, SERVERS},
        {CLIENTS},
    ),
    "optional field removed in a table": (
        [("a", dict[str, InnerWithNote])],
        [("a", dict[str, Inner])],
        {CLIENTS},
        {CLIENTS},
    ),
    "optional field removed in a pair": (
        [("a", tuple[InnerWithNote, int])],
        [("a", tuple[Inner, int])],
        {CLIENTS},
        {CLIENTS},
    ),
    "optional field removed in a variant": ([("a", NotedLeaf | Branch)], [("a", Leaf | Branch)], {CLIENTS}, {CLIENTS}),
    "nested type became nullable": ([("a", Inner)], [("a", Inner | None)], {SERVERS}, {CLIENTS}),
    "nested type closed": ([("a", Inner)], [("a", Closed)], {CLIENTS}, {SERVERS}),
    "recursive type unchanged": ([("a", Tree)], [("a", Tree)], set(), set()),
    "recursive type changed": ([("a", Tree)], [("a", OtherTree)], {CLIENTS, SERVERS}, {CLIENTS, SERVERS}),
    "variant added": ([("a", Leaf | Branch)], [("a", Leaf | Branch | Twig)], {SERVERS}, {CLIENTS}),
    "variant removed": ([("a", Leaf | Branch | Twig)], [("a", Leaf | Twig)], {CLIENTS}, {SERVERS}),
    "anything became text": ([("a", Any)], [A], {CLIENTS}, {SERVERS}),
}
"""What changed -> fields before, fields after, who breaks if clients send the event, who breaks if the server does."""


def broken(found: list[Change]) -> set[str]:
    return {party for change in found for party in change.breaks}


@pytest.mark.parametrize("what", FIELDS)
def test_a_change_of_what_clients_send(what: str) -> None:
    before, after, breaks, _ = FIELDS[what]

    assert broken(changes(contract("up", *before), contract("up", *after))) == breaks


@pytest.mark.parametrize("what", FIELDS)
def test_a_change_of_what_the_server_sends(what: str) -> None:
    before, after, _, breaks = FIELDS[what]

    assert broken(changes(contract("down", *before), contract("down", *after))) == breaks


@pytest.mark.parametrize("what", FIELDS)
def test_a_change_of_an_event_in_both_directions_breaks_what_either_direction_breaks(what: str) -> None:
    before, after, up, down = FIELDS[what]

    assert broken(changes(contract("both", *before), contract("both", *after))) == up | down


@pytest.mark.parametrize("document", [schema_document(MESSENGER), schema_document(WITH_KINDS)])
def test_a_contract_is_compatible_with_itself(document: dict[str, Any]) -> None:
    assert changes(document, json.loads(json.dumps(document))) == []


def test_the_text_names_the_place_and_both_types() -> None:
    old = contract("down", ("users", list[Inner]))
    new = contract("down", ("users", list[InnerOfTwo]))

    (change,) = changes(old, new)

    assert change == Change(
        "server.shop.thing", 'data.users[].a: type narrowed: string became "x" | "y"', ("old servers",)
    )


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (Colour | None, Literal["red"] | None, 'data.a: type narrowed: "blue" | "red" | null became "red" | null'),
        (Inner, dict[str, str], "data.a: type widened: Inner became table of string"),
        (dict[str, Inner], dict[str, InnerWithMore], "data.a{}.b: required field added"),
        (Leaf | Branch, Twig | Branch, "data.a: type changed: Leaf | Branch became Twig | Branch"),
    ],
    ids=str,
)
def test_the_text_distinguishes_the_two_types(before: Any, after: Any, text: str) -> None:
    (change,) = changes(contract("up", ("a", before)), contract("up", ("a", after)))

    assert change.text == text


def test_an_event_added_is_safe() -> None:
    old = schema_document(MESSENGER)

    found = changes(old, schema_document(WITH_KINDS))

    assert {change.text for change in found} == {"event added"}
    assert broken(found) == set()


def test_an_event_removed_breaks_old_clients() -> None:
    found = changes(schema_document(WITH_KINDS), schema_document(MESSENGER))

    assert {change.text for change in found} == {"event removed"}
    assert broken(found) == {CLIENTS}


def test_an_event_renamed_is_recognised() -> None:
    old = contract("down", A, name="server.shop.old")
    new = contract("down", A, name="server.shop.new")

    assert changes(old, new)[0] == Change("server.shop.old", "event renamed to server.shop.new", ("old clients",))


@pytest.mark.parametrize(
    ("before", "after", "texts", "breaks"),
    [
        (
            {"topics": {"shop": "a"}, "users": ["b"]},
            {"topics": {"shop": "a"}},
            ["audience narrowed: no longer heard by the user in b"],
            {CLIENTS},
        ),
        ({"topics": {"shop": "a"}}, {"topics": {"shop": "a"}, "users": ["b"]}, ["audience widened"], set()),
        ({"topics": {"shop": "a"}}, {"topics": {"shop": "b"}}, ["audience narrowed", "audience widened"], {CLIENTS}),
        ({"topics": {"shop": "a"}}, {}, ["audience narrowed", "audience widened"], {CLIENTS}),
        ({"addressed": True}, {"users": ["a"]}, ["audience narrowed", "audience widened"], {CLIENTS}),
        ({}, {"addressed": True}, ["audience narrowed: no longer heard by the socket", "audience widened"], {CLIENTS}),
    ],
    ids=str,
)
def test_a_narrower_audience_breaks_old_clients(
    before: dict[str, Any], after: dict[str, Any], texts: list[str], breaks: set[str]
) -> None:
    fields = (A, ("b", str))

    found = changes(contract("down", *fields, **before), contract("down", *fields, **after))

    assert broken(found) == breaks
    assert [change.text.startswith(text) for change, text in zip(found, texts, strict=True)] == [True] * len(texts)


def test_an_event_that_is_no_longer_relayed_breaks_old_clients() -> None:
    assert broken(changes(contract("both", A), contract("up", A))) == {CLIENTS}
    assert broken(changes(contract("up", A), contract("both", A))) == set()


def test_changes_of_an_internal_event_are_ignored() -> None:
    old = schema_document(MESSENGER)
    new = json.loads(json.dumps(old))
    new["$defs"]["server.system.internal_disconnect"]["properties"]["data"] = {"type": "string"}

    assert changes(old, new) == []


@pytest.mark.parametrize(
    ("code", "policy", "breaks"),
    [("4400", "with backoff", {CLIENTS}), ("4999", "never", {CLIENTS}), ("4999", "with backoff", set())],
)
def test_a_close_code_must_keep_its_meaning(code: str, policy: str, breaks: set[str]) -> None:
    old = schema_document(MESSENGER)
    new = json.loads(json.dumps(old))
    new["x-hubbub-close-codes"][code] = {"reason": "x", "reconnect": policy}

    found = changes(old, new)

    assert [change.subject for change in found] == [f"close code {code}"]
    assert broken(found) == breaks


@pytest.mark.parametrize("document", [{}, {"$defs": {}}, {"$defs": {"a": {"type": "string"}}}, {"$defs": {"a": 1}}])
def test_a_document_that_is_not_a_contract_is_refused_with_the_remedy(document: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="expected what `hubbub contract export --format json-schema` writes"):
        changes(document, schema_document(MESSENGER))


def test_breaking_changes_come_first() -> None:
    old = contract("down", A, ("b", str))
    new = contract("down", A, ("c", Optional, UNSET))

    assert [bool(change.breaks) for change in changes(old, new)] == [True, False]


def test_this_contract_is_compatible_with_the_last_released_one() -> None:
    released = json.loads((ROOT / "contracts" / "released.json").read_text())

    assert broken(changes(released, json.loads(json_schema(MESSENGER)))) == set()
