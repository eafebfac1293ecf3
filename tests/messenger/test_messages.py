from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from .conftest import say

Signals = list[tuple[str, dict[str, Any], list[str] | None]]
UNKNOWN = "01980f3e-7c00-7000-8000-000000000000"


async def page(client: httpx.AsyncClient, conversation: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"/api/conversations/{conversation}/messages", params=query)
    assert answer.status_code == 200, answer.text
    messages: dict[str, Any] = answer.json()
    return messages


async def read(client: httpx.AsyncClient, conversation: str, message_id: str) -> httpx.Response:
    return await client.post(f"/api/conversations/{conversation}/read", json={"messageId": message_id})


# --- sending --------------------------------------------------------------------------------------------------------


async def test_sending_returns_the_message(alice: httpx.AsyncClient, conversation: str) -> None:
    message = await say(alice, conversation, "Hello, Bob!")

    assert set(message) == {"id", "conversationId", "senderId", "body", "createdAt"}
    assert message["conversationId"] == conversation
    assert message["senderId"] == "alice"
    assert message["body"] == "Hello, Bob!"
    assert datetime.fromisoformat(message["createdAt"]).tzinfo is not None


async def test_a_body_is_returned_as_it_was_sent(alice: httpx.AsyncClient, conversation: str) -> None:
    for body in ("x", "x" * 4000, " \n\t", "héllo 🎉\u2028", r'"\u0000"', "<b>&amp;</b>"):
        await say(alice, conversation, body)
        assert (await page(alice, conversation))["messages"][0]["body"] == body


BAD_BODIES = {
    "empty": b'{"body": ""}',
    "too long": b'{"body": "' + b"x" * 4001 + b'"}',
    "NUL": rb'{"body": "a\u0000b"}',
    "half a surrogate pair": rb'{"body": "a\ud800b"}',
    "a number": b'{"body": 7}',
    "null": b'{"body": null}',
    "no body": b"{}",
    "a list": b"[]",
    "a string": b'"text"',
}


async def test_a_body_that_cannot_be_stored_is_refused(alice: httpx.AsyncClient, conversation: str) -> None:
    headers = {"Content-Type": "application/json"}
    statuses = {}
    for name, content in BAD_BODIES.items():
        answer = await alice.post(f"/api/conversations/{conversation}/messages", content=content, headers=headers)
        statuses[name] = answer.status_code

    assert statuses == dict.fromkeys(BAD_BODIES, 422)
    assert (await page(alice, conversation))["messages"] == []


async def test_the_signal_of_a_message_matches_the_stored_message(
    alice: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    signals.clear()

    message = await say(alice, conversation)

    payload = {
        "conversation_id": conversation,
        "message_id": message["id"],
        "sender_id": "alice",
        "created_at": message["createdAt"],
    }
    assert signals == [("server.messenger.message_new", payload, None)]


async def test_a_message_that_was_not_stored_is_not_signalled(
    carol: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    signals.clear()

    await carol.post(f"/api/conversations/{conversation}/messages", json={"body": "Let me in!"})

    assert signals == []


async def test_a_message_is_committed_before_it_is_signalled(
    app: FastAPI, alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refetched: list[asyncio.Task[dict[str, Any]]] = []

    def refetch(event: object) -> None:
        refetched.append(asyncio.create_task(page(bob, conversation)))

    monkeypatch.setattr("hubbub_messenger.routes.messages.notify", refetch)
    message = await say(alice, conversation)

    assert (await refetched[0])["messages"] == [message]


async def test_messages_sent_at_once_get_ids_in_the_order_of_their_commits(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    signals.clear()

    await asyncio.gather(*(say(client, conversation) for client in (alice, bob) * 10))

    committed = [payload["message_id"] for _, payload, _ in signals]
    assert len(committed) == 20
    assert [it["id"] for it in (await page(alice, conversation))["messages"]] == sorted(committed, reverse=True)


async def test_a_clock_that_runs_behind_still_adds_at_the_end(
    alice: httpx.AsyncClient, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await say(alice, conversation)
    monkeypatch.setattr("hubbub_messenger.ids.time.time_ns", lambda: 0)

    second = await say(alice, conversation)

    assert second["id"] > first["id"]


# --- reading --------------------------------------------------------------------------------------------------------


async def test_messages_are_listed_newest_first(alice: httpx.AsyncClient, conversation: str) -> None:
    sent = [await say(alice, conversation, str(number)) for number in range(3)]

    assert (await page(alice, conversation))["messages"] == sent[::-1]


async def test_the_last_page_has_no_next_page(alice: httpx.AsyncClient, conversation: str) -> None:
    for _ in range(2):
        await say(alice, conversation)

    assert "nextBefore" not in await page(alice, conversation, limit=2)


async def test_pages_have_no_gap_or_overlap(alice: httpx.AsyncClient, conversation: str) -> None:
    sent = [(await say(alice, conversation))["id"] for _ in range(7)]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    sizes = []
    while True:
        answer = await page(alice, conversation, **query)
        sizes.append(len(answer["messages"]))
        found += [message["id"] for message in answer["messages"]]
        if "nextBefore" not in answer:
            break
        query["before"] = answer["nextBefore"]

    assert found == sent[::-1]
    assert sizes == [3, 3, 1]


async def test_a_new_message_does_not_shift_the_pages(alice: httpx.AsyncClient, conversation: str) -> None:
    sent = [(await say(alice, conversation))["id"] for _ in range(4)]
    first = await page(alice, conversation, limit=2)
    await say(alice, conversation)

    second = await page(alice, conversation, limit=2, before=first["nextBefore"])

    assert [message["id"] for message in second["messages"]] == [sent[1], sent[0]]


async def test_invalid_pages_are_refused(alice: httpx.AsyncClient, conversation: str) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "before=x", "before=", "before=%00"):
        answer = await alice.get(f"/api/conversations/{conversation}/messages?{query}")
        assert (query, answer.status_code) == (query, 422)


# --- read receipts --------------------------------------------------------------------------------------------------


async def test_reading_is_signalled(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    message = await say(alice, conversation)
    signals.clear()

    answer = await read(bob, conversation, message["id"])

    assert answer.status_code == 204
    ((name, payload, users),) = signals
    assert (name, users) == ("server.messenger.message_read", None)
    assert datetime.fromisoformat(payload.pop("read_at")).tzinfo is not None
    assert payload == {"conversation_id": conversation, "message_id": message["id"], "reader_id": "bob"}


async def test_reading_only_moves_forward(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    older, newer = await say(alice, conversation), await say(alice, conversation)
    await read(bob, conversation, newer["id"])
    signals.clear()

    for message in (older, newer):
        assert (await read(bob, conversation, message["id"])).status_code == 204

    assert signals == []


async def test_a_message_of_another_conversation_cannot_be_marked_as_read(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    other = (await alice.post("/api/conversations", json={"memberIds": ["bob"]})).json()["id"]
    elsewhere = await say(alice, other)
    signals.clear()

    for message_id in (elsewhere["id"], UNKNOWN):
        assert (await read(bob, conversation, message_id)).status_code == 422

    assert signals == []


# --- permissions ----------------------------------------------------------------------------------------------------

STRANGERS = {UNKNOWN: 404, UNKNOWN.upper(): 422, "no-id": 422, "%00": 422}
CALLS = [
    ("GET", "messages", None),
    ("POST", "messages", {"body": "?"}),
    ("POST", "read", {"messageId": UNKNOWN}),
    ("DELETE", "members/me", None),
]


@pytest.mark.parametrize(("method", "path", "json"), CALLS)
async def test_only_members_have_access(
    carol: httpx.AsyncClient, conversation: str, method: str, path: str, json: Any
) -> None:
    expected = {conversation: 403, **STRANGERS}

    answers = {id: await carol.request(method, f"/api/conversations/{id}/{path}", json=json) for id in expected}

    assert {id: answer.status_code for id, answer in answers.items()} == expected
