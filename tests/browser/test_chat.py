"""Two people talk."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Room
from tests.browser.person import Person
from tests.browser.server import Caller

People = Callable[..., Person]


@pytest.fixture
def alice_and_bob(person: People, room: Room) -> tuple[Person, Person]:
    """Two people in an empty conversation of three."""
    alice, bob = (person(name).log_in().opens(room.title) for name in ("alice", "bob"))
    return alice, bob


def test_two_people_chat(alice_and_bob: tuple[Person, Person], room: Room) -> None:
    alice, bob = alice_and_bob
    alice.says("Hello, Bob!")
    expect(bob.message("Hello, Bob!")).to_be_visible()
    bob.says("Hello, Alice!")
    expect(alice.message("Hello, Alice!")).to_be_visible()
    expect(alice.row(room.title)).to_contain_text("Bob: Hello, Alice!")


def test_a_message_is_shown_before_the_server_has_it(person: People, room: Room) -> None:
    alice = person("alice").log_in().opens(room.title)
    held = []
    alice.page.route("**/messages", lambda route: held.append(route))
    alice.says("Quick")
    expect(alice.message("Quick")).to_be_visible()
    expect(alice.message("Sending…")).to_be_visible()
    expect(alice.composer).to_be_empty()
    held[0].continue_()
    expect(alice.message("Sent")).to_be_visible()
    expect(alice.message("Quick")).to_have_count(1)


def test_messages_keep_their_order(alice_and_bob: tuple[Person, Person]) -> None:
    alice, bob = alice_and_bob
    for number in range(8):
        alice.says(f"number {number}")
    expect(bob.messages.locator(".bubble")).to_contain_text([f"number {number}" for number in range(8)])


def test_a_message_that_failed_can_be_tried_again(alice_and_bob: tuple[Person, Person]) -> None:
    alice, bob = alice_and_bob
    alice.page.route("**/messages", lambda route: route.fulfill(status=503, json={"detail": "Not now."}))
    alice.says("Once more")
    expect(alice.page.get_by_role("alert")).to_contain_text("Not sent: Not now.")
    alice.page.unroute("**/messages")
    alice.page.get_by_role("button", name="Try again").click()
    expect(bob.message("Once more")).to_be_visible()
    expect(alice.message("Once more")).to_have_count(1)


def test_a_message_that_failed_can_be_discarded(person: People, room: Room) -> None:
    alice = person("alice").log_in().opens(room.title)
    alice.page.route("**/messages", lambda route: route.abort())
    alice.says("Never mind")
    alice.page.get_by_role("button", name="Discard").click()
    expect(alice.message("Never mind")).to_have_count(0)


def test_typing_appears_and_clears_when_the_message_is_sent(alice_and_bob: tuple[Person, Person], room: Room) -> None:
    alice, bob = alice_and_bob
    alice.types("Hel")
    expect(bob.typing).to_have_text("Alice is typing…")
    expect(bob.row(room.title)).to_contain_text("Alice is typing…")
    alice.says("Hello")
    expect(bob.typing).to_be_empty()


def test_typing_clears_when_the_text_is_deleted(alice_and_bob: tuple[Person, Person]) -> None:
    alice, bob = alice_and_bob
    alice.types("Hel")
    expect(bob.typing).to_have_text("Alice is typing…")
    alice.composer.clear()
    expect(bob.typing).to_be_empty()


def test_typing_clears_six_seconds_after_the_last_signal(person: People, room: Room) -> None:
    alice, bob = person("alice").log_in().opens(room.title), person("bob")
    bob.page.clock.install()
    bob.log_in().opens(room.title)
    alice.types("Hel")
    expect(bob.typing).to_have_text("Alice is typing…")
    alice.context.set_offline(True)  # no later signal of hers arrives
    bob.page.clock.fast_forward(6_000)
    expect(bob.typing).to_be_empty()


def test_a_read_receipt_appears_when_the_other_user_sees_the_message(person: People) -> None:
    alice, bob = person("alice").log_in(), person("bob").log_in()
    alice.starts_conversation("Bob")
    alice.says("Have you seen this?")
    expect(alice.message("Sent")).to_be_visible()
    expect(bob.row("Alice").locator(".badge")).to_have_text("1 unread")
    expect(bob.page).to_have_title(re.compile(r"^\(\d+\) Hubbub$"))
    bob.opens("Alice")
    expect(alice.page.locator(".receipt")).to_have_text("Read")
    expect(bob.row("Alice").locator(".badge")).to_have_count(0)


def test_a_receipt_names_the_readers_in_a_group_conversation(alice_and_bob: tuple[Person, Person]) -> None:
    alice, bob = alice_and_bob
    alice.says("Who is here?")
    expect(bob.message("Who is here?")).to_be_visible()
    expect(alice.page.locator(".receipt")).to_have_text("Read by Bob")


def test_scrolling_up_loads_older_pages_and_keeps_the_scroll_position(
    person: People, caller: Callable[[str], Caller], room: Room
) -> None:
    caller("bob").write(room.id, *(f"line {number}." for number in range(120)))
    alice = person("alice").log_in().opens(room.title)
    expect(alice.message("line 119.")).to_be_in_viewport()
    expect(alice.messages.locator(".bubble")).to_have_count(50)
    alice.message("line 70.").scroll_into_view_if_needed()
    expect(alice.messages.locator(".bubble")).to_have_count(100)
    expect(alice.message("line 70.")).to_be_in_viewport()
    alice.message("line 20.").scroll_into_view_if_needed()
    expect(alice.messages.locator(".bubble")).to_have_count(120)
    expect(alice.page.get_by_role("button", name="Load earlier messages")).to_have_count(0)
    alice.page.get_by_role("button", name="Scroll to the newest message").click()
    expect(alice.message("line 119.")).to_be_in_viewport()


def test_messages_are_shown_as_text_and_never_as_html(alice_and_bob: tuple[Person, Person], room: Room) -> None:
    alice, bob = alice_and_bob
    attack = '<img src=x onerror="document.title=1"><b>bold</b> javascript:alert(1)'
    alice.says(attack)
    expect(bob.message(attack)).to_be_visible()
    expect(bob.messages.locator("img, b")).to_have_count(0)
    expect(bob.row(room.title)).to_contain_text(attack)


def test_enter_sends_and_shift_enter_starts_a_new_line(person: People, room: Room) -> None:
    alice = person("alice").log_in().opens(room.title)
    alice.types("one")
    alice.composer.press("Shift+Enter")
    alice.types("two")
    expect(alice.composer).to_have_value("one\ntwo")
    alice.composer.press("Enter")
    expect(alice.message("one\ntwo")).to_be_visible()
    expect(alice.composer).to_be_focused()
