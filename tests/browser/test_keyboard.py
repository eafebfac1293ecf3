"""Using the app with the keyboard. (`test_pages.py` runs axe.)"""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Room
from tests.browser.person import Person

People = Callable[..., Person]


def test_the_keyboard_is_enough_to_find_read_and_answer_a_conversation(person: People, room: Room) -> None:
    bob = person("bob").log_in().opens(room.title)
    bob.says("Hello")
    alice = person("alice").log_in()
    keyboard = alice.page.keyboard
    expect(alice.row(room.title)).to_be_visible()

    keyboard.press("Tab")
    expect(alice.page.get_by_role("link", name="Skip to content")).to_be_focused()
    for expected in (alice.me, alice.page.get_by_role("button", name="New conversation")):
        keyboard.press("Tab")
        expect(expected).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Tab")
    expect(alice.row(room.title)).to_be_focused()  # the newest conversation is the first
    keyboard.press("ArrowDown")
    expect(alice.row(room.title)).not_to_be_focused()
    keyboard.press("ArrowUp")
    keyboard.press("Enter")
    expect(alice.composer).to_be_focused()
    keyboard.type("Hello to you")
    keyboard.press("Enter")
    expect(bob.message("Hello to you")).to_be_visible()


def test_the_dialog_gets_the_focus_and_restores_it_on_close(person: People) -> None:
    alice = person("alice").log_in()
    button = alice.page.get_by_role("button", name="New conversation")
    button.focus()
    alice.page.keyboard.press("Enter")
    dialog = alice.page.get_by_role("dialog", name="New conversation")
    expect(dialog.get_by_label("Find people")).to_be_focused()
    alice.page.keyboard.type("car")
    expect(dialog.get_by_role("checkbox")).to_have_count(1)
    alice.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
