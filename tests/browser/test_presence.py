"""Who is online, as others see it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.person import Person
from tests.browser.server import Server

People = Callable[..., Person]

RECORD_THE_PILL = """() => {
    window.pills = [document.querySelector(".pill").textContent]
    new MutationObserver(() => window.pills.push(document.querySelector(".pill").textContent))
        .observe(document.querySelector(".hero"), { subtree: true, childList: true, characterData: true })
}"""


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """A server where no user has been online yet."""
    return start_server()


def test_a_user_with_two_tabs_is_one_user(person: People) -> None:
    bob = person("bob").log_in("/u/alice")
    expect(bob.pill).to_have_text("Offline")
    alice = person("alice").log_in()
    expect(bob.pill).to_have_text("Online now")
    bob.page.evaluate(RECORD_THE_PILL)

    second = alice.new_tab()
    second.close()
    alice.page.reload()
    expect(alice.me).to_be_visible()
    alice.page.close()
    expect(bob.pill).to_have_text("Last seen just now")
    assert bob.page.evaluate("window.pills") == ["Online now", "Last seen just now"]

    bob.page.reload()  # now the status comes from the snapshot, and the time from REST
    expect(bob.pill).to_have_text("Last seen just now")


def test_dots_in_the_list_follow(person: People) -> None:
    dave = person("dave").log_in()
    dave.starts_conversation("Carol")
    dot = dave.row("Carol").locator(".dot")
    expect(dot).to_have_attribute("data-status", "offline")
    carol = person("carol").log_in()
    expect(dot).to_have_attribute("data-status", "online")
    expect(dave.page.locator(".thread-header")).to_contain_text("Online")
    carol.page.close()
    expect(dot).to_have_attribute("data-status", "offline")


def test_a_refetch_or_a_focus_is_not_activity(person: People) -> None:
    alice = person("alice")
    sent: list[str] = []
    changed: list[str] = []
    alice.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    alice.log_in().opens("Everyone")
    expect(alice.page.locator(".thread-header")).to_contain_text("online")
    sent.clear()
    alice.page.on("request", lambda request: changed.append(request.method))
    with alice.page.expect_response("**/api/conversations"):
        alice.page.evaluate("window.dispatchEvent(new Event('pageshow'))")
        alice.page.evaluate("window.dispatchEvent(new Event('focus'))")
        alice.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        alice.page.clock.install()
        alice.page.evaluate("window.dispatchEvent(new Event('online'))")  # reconnects and refetches
        alice.page.clock.run_for(5_000)
    assert [frame for frame in sent if "client.system." not in frame] == []
    assert set(changed) <= {"GET"}
