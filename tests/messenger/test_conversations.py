from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import event

from hubbub_messenger.ids import new_id
from hubbub_messenger.models import Message

from .conftest import ClientFactory, say

Signals = list[tuple[str, dict[str, Any], list[str] | None]]


async def conversations_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/conversations")
    assert answer.status_code == 200
    conversations: list[dict[str, Any]] = answer.json()
    return conversations


async def newest(client: httpx.AsyncClient) -> dict[str, Any]:
    return (await conversations_of(client))[0]


async def test_starting_a_conversation_returns_it(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/api/conversations", json={"memberIds": ["bob", "carol"], "title": "Lunch"})

    conversation = answer.json()
    assert answer.status_code == 201
    assert set(conversation) == {"id", "title", "createdAt", "members", "unreadCount"}
    assert conversation["title"] == "Lunch"
    assert conversation["unreadCount"] == 0
    assert [member["user"]["id"] for member in conversation["members"]] == ["alice", "bob", "carol"]


async def test_a_conversation_needs_no_title(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/api/conversations", json={"memberIds": ["bob"]})

    assert "title" not in answer.json()


async def test_naming_a_member_twice_or_oneself_makes_no_difference(alice: httpx.AsyncClient) -> None:
    answer = await alice.post("/api/conversations", json={"memberIds": ["bob", "alice", "bob"]})

    assert [member["user"]["id"] for member in answer.json()["members"]] == ["alice", "bob"]


async def test_impossible_members_are_refused(alice: httpx.AsyncClient) -> None:
    before = await conversations_of(alice)

    for members in ([], ["alice"], ["zed"], ["bob", "zed"], ["bob\x00"], [7], "bob", [f"u{n}" for n in range(101)]):
        answer = await alice.post("/api/conversations", json={"memberIds": members})
        assert (members, answer.status_code) == (members, 422)

    assert await conversations_of(alice) == before


async def test_members_are_notified_of_a_new_conversation(alice: httpx.AsyncClient, signals: Signals) -> None:
    await alice.post("/api/conversations", json={"memberIds": ["bob", "carol"]})

    assert signals == [("server.messenger.conversations_changed", {}, ["alice", "bob", "carol"])]


async def test_only_members_see_a_conversation_in_their_list(as_user: ClientFactory, conversation: str) -> None:
    has_it = {name: conversation in str(await conversations_of(as_user(name))) for name in ("alice", "bob", "carol")}

    assert has_it == {"alice": True, "bob": True, "carol": False}


async def test_the_list_shows_the_last_message(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    await say(alice, conversation, "first")
    last = await say(bob, conversation, "last")

    assert (await newest(alice))["lastMessage"] == last


async def test_the_most_recently_active_conversation_is_first(alice: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    older, newer = [
        (await alice.post("/api/conversations", json={"memberIds": ["bob"]})).json()["id"] for _ in range(2)
    ]
    assert [it["id"] for it in await conversations_of(bob)][:2] == [newer, older]

    await say(alice, older)

    assert [it["id"] for it in await conversations_of(bob)][:2] == [older, newer]


async def test_messages_of_others_are_unread(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    for _ in range(3):
        await say(alice, conversation)

    assert (await newest(bob))["unreadCount"] == 3
    assert (await newest(alice))["unreadCount"] == 0


async def test_messages_after_the_last_one_read_are_unread(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    read = await say(alice, conversation)
    await say(bob, conversation)
    await say(alice, conversation)
    await bob.post(f"/api/conversations/{conversation}/read", json={"messageId": read["id"]})

    assert (await newest(bob))["unreadCount"] == 1


async def test_answering_is_not_reading(alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str) -> None:
    await say(alice, conversation)
    await say(bob, conversation)

    assert (await newest(bob))["unreadCount"] == 1


async def test_unread_messages_of_one_conversation_do_not_count_in_another(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    await say(alice, conversation)
    other = (await alice.post("/api/conversations", json={"memberIds": ["bob"]})).json()["id"]
    await say(alice, other)
    await say(alice, other)

    counts = {it["id"]: it["unreadCount"] for it in await conversations_of(bob)}

    assert (counts[conversation], counts[other]) == (1, 2)


async def test_counting_stops_at_a_hundred(app: FastAPI, bob: httpx.AsyncClient, conversation: str) -> None:
    async with app.state.database.writing() as transaction:
        transaction.add_all(
            Message(id=new_id(), conversation_id=conversation, sender_id="alice", body="!") for _ in range(120)
        )

    assert (await newest(bob))["unreadCount"] == 100


async def test_the_list_shows_how_far_each_member_has_read(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    message = await say(alice, conversation)
    await bob.post(f"/api/conversations/{conversation}/read", json={"messageId": message["id"]})

    members = {member["user"]["id"]: member for member in (await newest(alice))["members"]}

    assert members["bob"]["lastReadMessageId"] == message["id"]
    assert members["bob"]["lastReadAt"].endswith("Z")
    assert set(members["alice"]) == {"user"}


@contextmanager
def counted(app: FastAPI) -> Iterator[list[str]]:
    statements: list[str] = []

    def count(*arguments: Any) -> None:
        if not arguments[2].startswith("BEGIN"):
            statements.append(arguments[2])

    engine = app.state.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    yield statements
    event.remove(engine, "before_cursor_execute", count)


async def test_a_longer_list_needs_no_more_statements(app: FastAPI, alice: httpx.AsyncClient) -> None:
    with counted(app) as for_one:
        await conversations_of(alice)
    for _ in range(5):
        await alice.post("/api/conversations", json={"memberIds": ["bob", "carol"]})

    with counted(app) as for_six:
        assert len(await conversations_of(alice)) == 6

    assert len(for_six) == len(for_one) == 3  # the session, the conversations, their members


async def test_leaving_removes_a_conversation_from_the_list(
    alice: httpx.AsyncClient, bob: httpx.AsyncClient, conversation: str
) -> None:
    answer = await bob.delete(f"/api/conversations/{conversation}/members/me")

    assert answer.status_code == 204
    assert conversation not in str(await conversations_of(bob))
    assert [member["user"]["id"] for member in (await newest(alice))["members"]] == ["alice"]


async def test_a_former_member_cannot_read(bob: httpx.AsyncClient, conversation: str) -> None:
    await bob.delete(f"/api/conversations/{conversation}/members/me")

    assert (await bob.get(f"/api/conversations/{conversation}/messages")).status_code == 403


async def test_remaining_members_and_the_one_who_left_are_notified(
    bob: httpx.AsyncClient, conversation: str, signals: Signals
) -> None:
    signals.clear()

    await bob.delete(f"/api/conversations/{conversation}/members/me")

    assert signals == [("server.messenger.conversations_changed", {}, ["alice", "bob"])]


async def test_a_member_cannot_leave_twice(bob: httpx.AsyncClient, conversation: str, signals: Signals) -> None:
    await bob.delete(f"/api/conversations/{conversation}/members/me")
    signals.clear()

    answer = await bob.delete(f"/api/conversations/{conversation}/members/me")

    assert answer.status_code == 403
    assert signals == []
