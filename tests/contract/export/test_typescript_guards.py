"""The guards of `contracts.ts`, run in Node, and the Python decoder accept and refuse the same documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings

from hubbub import ClientError, Contract, Envelope
from hubbub.contract.envelope import decode
from hubbub.contract.export.typescript import typescript
from tests.contract.documents import documents
from tests.contract.kinds import MESSENGER, WITH_KINDS
from tests.contract.programs import Guards

SHARED = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TYPING: dict[str, Any] = {"conversationId": "c1", "userId": "alice", "isTyping": True}


@pytest.fixture(scope="module")
def messenger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guards]:
    guards = Guards(tmp_path_factory.mktemp("messenger"), typescript(MESSENGER, guards=True))
    yield guards
    guards.close()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guards]:
    guards = Guards(tmp_path_factory.mktemp("kinds"), typescript(WITH_KINDS, guards=True))
    yield guards
    guards.close()


def server_accepts(text: str, contract: Contract) -> bool:
    """Return whether the server accepts this from a client."""
    try:
        decode(text, contract)
    except ClientError:
        return False
    return True


def is_from_server(text: str, contract: Contract) -> bool:
    """Return whether this is an event that a server sends, by the same types."""
    try:
        spec = contract.get(msgspec.json.decode(text, type=Envelope[msgspec.Raw]).type)
        if spec is None or not spec.to_client:
            return False
        msgspec.json.decode(text, type=Envelope[spec.payload])  # type: ignore[name-defined]
    except msgspec.MsgspecError:
        return False
    return True


@SHARED
@given(document=documents(MESSENGER, lambda spec: spec.from_client))
@example(document={"type": "client.messenger.typing", "data": TYPING, "ts": 1, "id": None})
@example(document={"type": "client.messenger.typing", "data": [TYPING], "ts": 1})
@example(document={"type": "client.messenger.typing", "data": {**TYPING, "new": 1}, "ts": 1.5, "new": 1})
@example(document={"type": "client.system.subscribe", "data": {"topics": [{"kind": "planet", "id": "x"}]}, "ts": 1})
@example(document={"type": "toString", "data": {}, "ts": 1})
def test_is_client_event_accepts_what_the_decoder_accepts(messenger: Guards, document: Any) -> None:
    text = json.dumps(document)

    assert messenger.accept("isClientEvent", text) == server_accepts(text, MESSENGER)


@SHARED
@given(document=documents(MESSENGER, lambda spec: spec.to_client))
@example(document={"type": "server.system.internal_disconnect", "data": {}, "ts": 1})
@example(document={"type": "server.system.error", "data": {"message": "m", "code": None}, "ts": 1})
def test_is_server_event_accepts_what_the_types_accept(messenger: Guards, document: Any) -> None:
    text = json.dumps(document)

    assert messenger.accept("isServerEvent", text) == is_from_server(text, MESSENGER)


EVERYTHING: dict[str, Any] = {
    "text": "t",
    "integer": 1,
    "number": 1.5,
    "eitherNumber": 2,
    "flag": True,
    "nothing": None,
    "anything": [1],
    "size": "small",
    "mixed": None,
    "numberOrText": "x",
    "positive": 9,
    "even": -2,
    "short": "\U0001f600" * 3,
    "few": ["a", "b"],
    "pair": [1, "a"],
    "table": {"a": 1},
    "names": {"ab": 1},
    "colour": "red",
    "shape": {"type": "square", "sideLength": 2},
    "tree": {"label": "a", "children": [{"label": "b"}]},
    "closed": {"only": True},
    "sizes": ["large"],
}


def everything(**changes: Any) -> str:
    return json.dumps({"type": "client.kinds.everything", "data": {**EVERYTHING, **changes}, "ts": 1})


def test_a_good_document_of_every_kind_is_accepted(kinds: Guards) -> None:
    assert kinds.accept("isClientEvent", everything())
    assert server_accepts(everything(), WITH_KINDS)


@pytest.mark.parametrize(
    "changes",
    [
        {"integer": 1.5},
        {"number": "1"},
        {"flag": 1},
        {"nothing": False},
        {"mixed": True},
        {"mixed": "two"},
        {"numberOrText": 1.5},
        {"positive": 0},
        {"positive": 10},
        {"even": 3},
        {"short": ""},
        {"short": "four"},
        {"few": ["a", "b", "c"]},
        {"pair": [1]},
        {"pair": [1, "a", 2]},
        {"table": {"a": "b"}},
        {"table": []},
        {"names": {"a": 1}},
        {"names": {"ab": 1, "cd": 1}},
        {"colour": "green"},
        {"shape": {"type": "circle", "sideLength": 2}},
        {"shape": {"sideLength": 2}},
        {"tree": {"label": "a", "children": [{"label": 1}]}},
        {"closed": {"only": True, "other": 1}},
        {"closed": {"only": True, "maybe": None}},
        {"optional": None},
        {"constructor": 1},
        {"counted": None},
        {"nullable": 1},
    ],
    ids=str,
)
def test_each_kind_of_field_is_checked(kinds: Guards, changes: dict[str, Any]) -> None:
    assert not kinds.accept("isClientEvent", everything(**changes))
    assert not server_accepts(everything(**changes), WITH_KINDS)


@settings(SHARED, max_examples=150)
@given(document=documents(WITH_KINDS, lambda spec: spec.name == "client.kinds.everything"))
def test_both_agree_on_every_kind_of_field(kinds: Guards, document: Any) -> None:
    text = json.dumps(document)

    assert kinds.accept("isClientEvent", text) == server_accepts(text, WITH_KINDS)


@pytest.mark.parametrize("text", ["null", "[]", '"client.messenger.typing"', "1e999", "{}"])
def test_a_document_that_is_not_an_envelope_is_refused(messenger: Guards, text: str) -> None:
    assert not messenger.accept("isServerEvent", text)
    assert not messenger.accept("isClientEvent", text)


def test_a_number_beyond_the_safe_integers_of_javascript_is_refused(messenger: Guards) -> None:
    text = json.dumps({"type": "client.messenger.typing", "data": TYPING, "ts": 999}).replace("999", "1e999")

    assert not messenger.accept("isClientEvent", text)
    assert not server_accepts(text, MESSENGER)
