"""A person at a browser: what they see and do."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Locator, Page

from hubbub import DEVELOPMENT_SECRET, mint_token
from hubbub_messenger.sessions import COOKIE


class Person:
    """One login of one user in a separate browser. `page` is the active tab."""

    def __init__(self, name: str, context: BrowserContext, url: str) -> None:
        self.name = name
        self._url = url
        self.context = context
        context.set_default_timeout(10_000)
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        context.on("console", lambda message: self._on_console(message.type, message.text))

    def _on_console(self, kind: str, text: str) -> None:
        # The browser logs failed requests and sockets itself, even if the page handles them.
        if kind == "error" and not text.startswith(("Failed to load resource", "WebSocket connection to")):
            self.errors.append(text)

    # --- navigation ---------------------------------------------------------------------------------------------------

    def log_in(self, path: str = "/", lifetime: float = 3600) -> Person:
        """Open the app with a new session, as after the login page (`test_session.py` tests that one).

        Args:
            path: the address to open.
            lifetime: how long the session lasts, in seconds.
        """
        token = mint_token(self.name, key=DEVELOPMENT_SECRET, lifetime=lifetime)
        self.context.add_cookies([{"name": COOKIE, "value": token, "url": self._url}])
        self.page.goto(path)
        self.me.wait_for()
        return self

    def opens(self, title: str) -> Person:
        """Open a conversation from the list."""
        self.row(title).click()
        self.composer.wait_for()
        return self

    def new_tab(self, path: str = "/") -> Page:
        """Open a second tab of the same login, and wait until its socket is ready."""
        tab = self.context.new_page()
        with tab.expect_websocket() as socket:
            tab.goto(path)
        socket.value.wait_for_event("framereceived")
        return tab

    # --- actions ------------------------------------------------------------------------------------------------------

    def types(self, text: str) -> None:
        """Type without sending."""
        self.composer.press_sequentially(text)

    def says(self, text: str) -> None:
        """Write a message and send it with Enter."""
        self.composer.fill(text)
        self.composer.press("Enter")

    def starts_conversation(self, *names: str, title: str | None = None) -> None:
        """Start a conversation in the dialog."""
        self.page.get_by_role("button", name="New conversation").click()
        dialog = self.page.get_by_role("dialog")
        for name in names:
            dialog.get_by_label(name).check()
        if title is not None:
            dialog.get_by_label("Title").fill(title)
        dialog.get_by_role("button", name="Start").click()
        self.composer.wait_for()

    # --- what they see ------------------------------------------------------------------------------------------------

    @property
    def me(self) -> Locator:
        return self.page.get_by_role("link", name="(your profile)")

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def typing(self) -> Locator:
        return self.page.locator(".typing")

    @property
    def pill(self) -> Locator:
        return self.page.locator(".pill")

    @property
    def banner(self) -> Locator:
        return self.page.locator(".banner")

    def row(self, title: str) -> Locator:
        """Return the row of a conversation in the list."""
        rows = self.page.get_by_role("navigation", name="Conversations").get_by_role("link")
        return rows.filter(has=self.page.locator(".title", has_text=re.compile(f"^{re.escape(title)}$")))

    def message(self, text: str) -> Locator:
        """Return the message with this text."""
        return self.messages.get_by_text(text)
