"""Take the screenshots of the messenger again, into docs/images: `python -m tools.docs.screenshots`.

Two people use the messenger in two browsers. Build the web app first: `make run`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.person import Person
from tests.browser.server import Caller, Server
from tools.docs.stage import DOCS

IMAGES: Final = DOCS / "images"
DESK: Final[ViewportSize] = {"width": 1280, "height": 800}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}


def main() -> None:
    """Start a messenger, and take every screenshot."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder), {})
        server.start()
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        try:
            take(browser, server)
        finally:
            browser.close()
            server.stop()


def take(browser: Browser, server: Server) -> None:
    """Have Alice and Bob chat, and take screenshots of their pages."""
    chat(Caller(server.url, "alice"), Caller(server.url, "bob"))
    alice = visit(browser, server, "alice", DESK)
    bob = visit(browser, server, "bob", PHONE)
    bob.opens("Allotment").says("I have three seed trays to spare.")
    alice.opens("Allotment")
    expect(alice.message("I have three seed trays to spare.")).to_be_visible()
    bob.types("And a watering can")
    expect(alice.typing).to_contain_text("Bob")
    save(alice.page, "chat")
    save(bob.page, "chat-phone")

    alice.page.goto("/u/bob")
    expect(alice.pill).to_have_text("Online now")
    save(alice.page, "profile")


def chat(alice: Caller, bob: Caller) -> None:
    """Fill the messenger with messages."""
    group = alice.start_conversation("bob", "carol", title="Allotment")
    bob.write(group, "Has anybody been down this week?")
    alice.write(group, "Yesterday. The beans are up!", "The rhubarb is taking over, though. Help yourselves.")
    bob.write(group, "With pleasure.")
    alice.write(group, "Who has time on Saturday? The fence needs two pairs of hands.")
    bob.write(group, "I can come at ten.")
    alice.start_conversation("dave")


def visit(browser: Browser, server: Server, name: str, size: ViewportSize) -> Person:
    """Open the messenger as a user, in a window of some size."""
    context = browser.new_context(base_url=server.url, locale="en-GB", viewport=size, color_scheme="light")
    return Person(name, context, server.url).log_in()


def save(page: Page, name: str) -> None:
    """Take a screenshot of a page, without animations."""
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    main()
