"""A user without activity is away. Any activity ends that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Room
from tests.browser.person import Person
from tests.browser.server import Server


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """A server on which users are away after 3 seconds, not 5 minutes."""
    return start_server(away_minutes="0.05")


def test_the_pill_turns_to_away_and_back(person: Callable[..., Person], room: Room) -> None:
    bob = person("bob").log_in("/u/alice")
    alice = person("alice").log_in().opens(room.title)
    expect(bob.pill).to_have_text("Away")

    alice.composer.press_sequentially("Here I am", delay=50)

    expect(bob.pill).to_have_text("Online now")
    expect(bob.pill).to_have_text("Away")
