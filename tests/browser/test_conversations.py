"""Starting conversations, and who can see them."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Room
from tests.browser.person import Person

People = Callable[..., Person]


def test_a_new_conversation_appears_in_the_other_users_list_without_a_reload(person: People) -> None:
    alice, bob = (person(name).log_in() for name in ("alice", "bob"))
    alice.starts_conversation("Bob", "Dave", title="Picnic")
    expect(bob.row("Picnic")).to_be_visible()
    alice.says("Who brings the bread?")
    expect(bob.row("Picnic")).to_contain_text("Alice: Who brings the bread?")
    expect(bob.row("Picnic").locator(".badge")).to_have_text("1 unread")


def test_writing_to_a_user_from_their_profile_opens_one_conversation(person: People) -> None:
    carol = person("carol").log_in("/u/dave")
    carol.page.get_by_role("button", name="Message Dave").click()
    carol.says("Hello, Dave")
    expect(carol.row("Dave")).to_have_attribute("aria-current", "page")
    carol.page.get_by_role("link", name="Dave", exact=True).click()
    carol.page.get_by_role("button", name="Message Dave").click()
    expect(carol.message("Hello, Dave")).to_be_visible()
    expect(carol.row("Dave")).to_have_count(1)


def test_a_user_who_is_not_a_member_sees_nothing(person: People, room: Room) -> None:
    dave, alice = person("dave"), person("alice")
    heard: list[str] = []
    dave.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: heard.append(str(frame))))
    dave.log_in(f"/c/{room.id}")
    expect(dave.page.get_by_role("heading", name="Conversation not available")).to_be_visible()
    expect(dave.row(room.title)).to_have_count(0)
    alice.log_in().opens(room.title)
    alice.types("Between")
    alice.says("Between us")
    expect(alice.message("Sent")).to_be_visible()
    dave.page.reload()
    expect(dave.page.get_by_role("heading", name="Conversation not available")).to_be_visible()
    assert "Between us" not in dave.page.content()
    assert not any("server.messenger." in frame or "client.messenger." in frame for frame in heard)


def test_an_unknown_address_shows_a_not_found_page(person: People) -> None:
    alice = person("alice").log_in("/nowhere")
    expect(alice.page.get_by_role("heading", name="Page not found")).to_be_visible()
    alice.page.goto("/c/nonsense")
    expect(alice.page.get_by_role("heading", name="Conversation not available")).to_be_visible()
    alice.page.goto("/u/nobody")
    expect(alice.page.get_by_role("heading", name="User not found")).to_be_visible()
