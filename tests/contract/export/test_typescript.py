"""`contracts.ts`: its content, that it compiles, and that mistakes in a client's code are compile errors."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import pytest

from hubbub import Contract, ContractError, Payload, ServerEvent, event
from hubbub.contract.events import MESSENGER_EVENTS, PRESENCE_EVENTS, SYSTEM_EVENTS, MessageNew
from hubbub.contract.export.typescript import typescript
from tests.contract.kinds import BUILT_IN, MESSENGER, WITH_KINDS, payload_named
from tests.contract.programs import ROOT, tsc

HERE = Path(__file__).parents[1] / "typescript"
USAGE = (HERE / "usage.ts").read_text()
COMMITTED = ROOT / "web" / "client" / "src" / "contracts.ts"


def test_the_committed_file_is_the_export() -> None:
    assert COMMITTED.read_text() == typescript(MESSENGER, guards=True)


def test_a_correct_client_compiles_and_mistakes_do_not(tmp_path: Path) -> None:
    sources = {"contracts.ts": typescript(MESSENGER, guards=True), "usage.ts": USAGE}

    assert tsc(tmp_path, sources) == []


def test_the_first_eight_events_have_the_types_they_were_designed_with(tmp_path: Path) -> None:
    sources = {"contracts.ts": typescript(MESSENGER), "seed.ts": (HERE / "seed.ts").read_text()}

    assert tsc(tmp_path, sources) == []


def test_a_field_renamed_in_python_fails_at_each_use(tmp_path: Path) -> None:
    fields = [("conversation_id", str), ("signal_id", str), ("sender_id", str), ("created_at", str)]
    declare = event("server.messenger.message_new", topics={"conversation": "conversation_id"}, users=["sender_id"])
    renamed = declare(payload_named("MessageNew", ServerEvent, fields))
    contract = Contract([renamed if payload is MessageNew else payload for payload in BUILT_IN])
    uses = (
        'import type { ServerEvents } from "./contracts"\n'
        'export const first = (data: ServerEvents["server.messenger.message_new"]) => data.messageId\n'
        'export const second = ({ messageId }: ServerEvents["server.messenger.message_new"]) => messageId\n'
        'export const third = (data: ServerEvents["server.messenger.message_read"]) => data.messageId\n'
    )

    errors = tsc(tmp_path, {"contracts.ts": typescript(contract), "uses.ts": uses})

    assert [error.partition(",")[0] for error in errors] == ["uses.ts(2", "uses.ts(3"]
    assert typescript(contract) != typescript(MESSENGER)


def test_every_kind_of_field_compiles(tmp_path: Path) -> None:
    assert tsc(tmp_path, {"contracts.ts": typescript(WITH_KINDS, guards=True)}) == []


def test_every_kind_of_field_has_its_type() -> None:
    text = typescript(WITH_KINDS)

    assert (
        """\
  /**
   * Has a field of every kind. Heard by the subscribers of `kind:<text>`.
   *
   * The second paragraph has a star and a slash, *\\/, and is long enough that it must be wrapped
   * onto a line of its own.
   */
  "client.kinds.everything": {
    text: string
    integer: number
    number: number
    eitherNumber: number
    flag: boolean
    nothing: null
    anything: unknown
    size: Size
    mixed: 1 | "one" | null
    numberOrText: number | string
    /** From 1 to 9. */
    positive: number
    even: number
    short: string
    few: string[]
    pair: [number, string]
    table: Record<string, number>
    names: Record<string, number>
    colour: Colour
    shape: Circle | Square
    tree: Node
    closed: Closed
    sizes: Size[]
    counted?: number
    nullable?: string | null
    optional?: string
    constructor?: string
    whatever?: unknown
  }
"""
        in text
    )
    assert 'export type Size = "small" | "large"\n' in text
    assert 'export type Colour = "red" | "blue"\n' in text
    assert (
        """\
/** A type that contains itself. */
export type Node = {
  label: string
  children?: Node[]
  parent?: Node | null
}
"""
        in text
    )
    assert (
        """\
export type Square = {
  type: "square"
  sideLength: number
}
"""
        in text
    )


def test_only_the_events_of_the_contract_are_exported() -> None:
    text = typescript(Contract((*SYSTEM_EVENTS, *PRESENCE_EVENTS)))

    assert "messenger" not in text
    assert "conversation" not in text.replace("such as one conversation", "")
    assert 'export type TopicKind = "user"\n' in text


def test_a_contract_that_nothing_is_addressed_to_compiles(tmp_path: Path) -> None:
    text = typescript(Contract(SYSTEM_EVENTS), guards=True)

    assert "export type TopicKind = never\n" in text
    assert tsc(tmp_path, {"contracts.ts": text}) == []


def test_the_order_of_registration_makes_no_difference() -> None:
    assert typescript(Contract(reversed(BUILT_IN)), guards=True) == typescript(MESSENGER, guards=True)


def test_another_process_writes_the_same_bytes() -> None:
    script = (
        "from tests.contract.kinds import WITH_KINDS as c; import sys; "
        "from hubbub.contract.export.typescript import typescript as t; sys.stdout.write(t(c, guards=True))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )

    assert run.stdout == typescript(WITH_KINDS, guards=True)


def test_guards_are_written_only_on_request() -> None:
    assert "function" not in typescript(MESSENGER)


class Long(Enum):
    A = "one value | with a bar in it, and so long that the type needs a line for each value"
    B = "another | value"


Page = TypeVar("Page")


class Book(Payload, Generic[Page], frozen=True):
    pages: tuple[Page, ...]


def _with_field(hint: Any) -> Contract:
    owner = payload_named("Owner", ServerEvent, [("field", hint)])
    return Contract([*BUILT_IN, event("server.odd.owner", addressed=True)(owner)])


def test_a_generic_type_is_named_after_its_arguments() -> None:
    text = typescript(_with_field(Book[Literal["a", "b"]]))

    assert 'export type Book_Literal_a_b = {\n  pages: ("a" | "b")[]\n}\n' in text


def test_a_value_that_contains_a_bar_is_not_split(tmp_path: Path) -> None:
    text = typescript(_with_field(list[Long]), guards=True)

    assert tsc(tmp_path, {"contracts.ts": text}) == []


@pytest.mark.parametrize("domain", ["alpha", "zeta"])
@pytest.mark.parametrize("name", ["Topic", "TopicKind"])
def test_a_type_named_like_a_topic_is_refused_wherever_it_appears(domain: str, name: str) -> None:
    with pytest.raises(ContractError, match=f"called {name}: hubbub.contract.topics.Topic and {domain}.{name}; rename"):
        typescript(_with_nested(name, domain))


def test_a_type_named_like_a_known_literal_is_refused() -> None:
    with pytest.raises(
        ContractError, match=r"called Status: hubbub\.contract\.events\.Status and zeta\.Status; rename"
    ):
        typescript(_with_nested("Status", "zeta"))


def test_a_type_that_msgspec_does_not_support_is_refused() -> None:
    with pytest.raises(ContractError, match="Owner cannot be part of a contract"):
        typescript(_with_field(str | datetime))


def _with_nested(name: str, module: str) -> Contract:
    nested = payload_named(name, Payload, [("a", str)])
    nested.__module__ = module
    owner = payload_named("Owner", ServerEvent, [("nested", nested)])
    return Contract([*BUILT_IN, event(f"server.{module}.owner", addressed=True)(owner)])


def test_two_types_with_the_same_name_are_refused_with_the_remedy() -> None:
    both = [spec.payload for spec in {**_with_nested("Item", "a"), **_with_nested("Item", "b")}.values()]

    with pytest.raises(ContractError, match=r"two types of this contract are called Item: a\.Item and b\.Item; rename"):
        typescript(Contract(both))


@pytest.mark.parametrize("name", ["WsEvents", "Record", "ServerEvent", "String", "string", "delete"])
def test_a_type_that_would_shadow_what_the_file_needs_is_refused(name: str) -> None:
    with pytest.raises(ContractError, match=f"called {name}, which means something else in contracts.ts; rename it"):
        typescript(_with_nested(name, "a"))


def test_a_type_without_json_is_refused() -> None:
    payload = event("server.odd.one", addressed=True)(payload_named("Odd", ServerEvent, [("value", dict[int, str])]))

    with pytest.raises(ContractError, match="cannot be part of a contract; use str"):
        typescript(Contract([payload]))


def test_messenger_events_are_grouped_by_domain() -> None:
    text = typescript(MESSENGER)
    body = text[text.index("export type WsEvents") :]
    positions = [body.index(f'"{payload.__event__.name}"') for payload in (*MESSENGER_EVENTS, *PRESENCE_EVENTS)]

    assert max(positions[:4]) < min(positions[4:])
