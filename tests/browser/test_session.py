"""Logging in, and how a session ends."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Route, WebSocket, expect

from tests.browser.person import Person

People = Callable[..., Person]

SHORT = 6.0
"""Seconds: a session short enough to wait for its end."""


def test_a_name_and_a_password_log_in(person: People) -> None:
    alice = person("alice")
    alice.page.goto("/")
    alice.page.get_by_label("Username").fill("alice")
    alice.page.get_by_label("Password").fill("wrong")
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_role("alert")).to_have_text("The username or the password is wrong.")
    expect(alice.page.get_by_label("Username")).to_be_focused()
    alice.page.get_by_label("Password").fill("alice")
    alice.page.keyboard.press("Enter")
    expect(alice.me).to_be_visible()


def test_logging_out_in_one_tab_ends_the_other(person: People) -> None:
    alice = person("alice").log_in()
    other = alice.new_tab()
    alice.page.get_by_role("button", name="Log out").click()
    for tab in (alice.page, other):
        expect(tab.get_by_role("button", name="Log in")).to_be_visible()


def test_the_next_user_of_the_same_browser_sees_nothing_of_the_first(person: People) -> None:
    alice = person("alice").log_in()
    alice.starts_conversation("Bob", "Carol", title="Secret")
    alice.page.get_by_role("button", name="Log out").click()
    alice.page.get_by_role("button", name="dave").click()
    expect(alice.page.get_by_role("link", name="Dave (your profile)")).to_be_visible()
    expect(alice.row("Everyone")).to_be_visible()
    expect(alice.row("Secret")).to_have_count(0)


def test_an_expired_token_leads_to_the_login_page_without_a_reconnect_loop(person: People) -> None:
    alice = person("alice")
    sockets: list[WebSocket] = []
    renewals: list[str] = []

    def asleep(route: Route) -> None:
        """Abort the first renewal, as if the machine had slept until the session expired."""
        renewals.append(route.request.method)
        if len(renewals) == 1:
            route.abort()
        else:
            route.continue_()

    alice.page.on("websocket", lambda socket: sockets.append(socket))
    alice.page.route("**/api/session/renew", asleep)
    alice.page.clock.install()
    alice.log_in(lifetime=SHORT)
    expect(alice.page.get_by_role("button", name="Log in")).to_be_visible(timeout=20_000)
    alice.page.clock.fast_forward(120_000)
    assert len(sockets) == 1
    assert len(renewals) == 2
