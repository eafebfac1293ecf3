"""Every page, dark and light, wide and narrow: checked by axe, with screenshots for a person to look at.

The screenshots are written to `tests/browser/screenshots`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Room
from tests.browser.person import Person

People = Callable[..., Person]

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
FOLDER = Path(__file__).parent / "screenshots"
SIZES = {"desk": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


def violations(page: Page) -> list[str]:
    """Return the serious accessibility violations that axe finds, each with its first element."""
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in serious]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_has_no_serious_accessibility_violation(
    person: People, room: Room, scheme: str, size: str
) -> None:
    alice = person("alice", color_scheme=scheme, viewport=SIZES[size])
    bob = person("bob").log_in().opens(room.title)

    def examine(page: str) -> None:
        alice.page.screenshot(path=FOLDER / f"{page}-{size}-{scheme}.png", animations="disabled")
        assert alice.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is too wide"
        assert violations(alice.page) == []

    alice.page.goto("/")
    expect(alice.page.get_by_role("button", name="Log in")).to_be_visible()
    examine("login")

    bob.says("Good morning! Has anybody seen my umbrella?")
    alice.log_in()
    expect(alice.row(room.title).locator(".badge")).to_be_visible()
    expect(alice.row(room.title).locator(".dot")).to_have_attribute("data-status", "online")
    examine("list")

    alice.opens(room.title)
    alice.says("It stands in the kitchen.")
    alice.says("The blue one, with the wooden handle, if that is the one you mean: it has been there since Tuesday.")
    expect(bob.message("since Tuesday")).to_be_visible()
    bob.says("That's the one, thank you.")
    expect(alice.message("That's the one")).to_be_visible()
    alice.says("See you at lunch ☂️")
    expect(alice.message("Read by Bob")).to_be_visible()
    bob.types("One more")
    expect(alice.typing).not_to_be_empty()
    examine("thread")

    alice.context.set_offline(True)
    alice.says("Are we still meeting?")
    expect(alice.message("Sending…")).to_be_visible()
    expect(alice.banner).to_have_text("You are offline.")
    examine("offline")
    alice.context.set_offline(False)

    alice.page.goto("/u/bob")
    expect(alice.pill).to_have_text("Online now")
    examine("profile")

    alice.page.goto("/")
    alice.page.get_by_role("button", name="New conversation").click()
    dialog = alice.page.get_by_role("dialog")
    dialog.get_by_label("Carol").check()
    dialog.get_by_label("Dave").check()
    dialog.get_by_label("Title").fill("Lunch")
    examine("new")
