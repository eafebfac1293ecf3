"""After a restart of the server or a loss of the network, clients reconnect by themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Room
from tests.browser.person import Person
from tests.browser.server import Caller, Server

People = Callable[..., Person]

RECONNECT_TIMEOUT = 30_000
"""Milliseconds: more than the longest delay between two attempts."""


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """A server that these tests may stop."""
    return start_server()


def test_after_a_restart_both_clients_reconnect_resubscribe_and_show_missed_messages(
    person: People, server: Server, room: Room
) -> None:
    alice, bob = (person(name).log_in().opens(room.title) for name in ("alice", "bob"))
    with server.second_server() as other:  # the same database, but its signals do not reach the first server
        carol = Caller(other.url, "carol")
        server.stop()
        for each in (alice, bob):
            expect(each.banner).to_contain_text("Connecting…")
        carol.write(room.id, "While you were away")
        carol.close()
        server.start()

    for each in (alice, bob):
        expect(each.message("While you were away")).to_be_visible(timeout=RECONNECT_TIMEOUT)
        expect(each.banner).to_be_empty()
    alice.types("Every")
    expect(bob.typing).to_have_text("Alice is typing…")
    alice.says("Everything works again")
    expect(bob.message("Everything works again")).to_be_visible()


def test_after_a_network_cut_both_clients_have_every_message(
    person: People, room: Room, caller: Callable[[str], Caller]
) -> None:
    alice, bob = (person(name).log_in().opens(room.title) for name in ("alice", "bob"))
    alice.context.set_offline(True)
    expect(alice.banner).to_have_text("You are offline.")
    bob.says("Are you there?")
    expect(bob.message("Sent")).to_be_visible()
    alice.says("Sent from a tunnel")
    expect(alice.message("Sending…")).to_be_visible()

    alice.context.set_offline(False)
    expect(alice.message("Are you there?")).to_be_visible()
    expect(bob.message("Sent from a tunnel")).to_be_visible()
    expect(alice.banner).to_be_empty()
    bob.types("Now")
    expect(alice.typing).to_have_text("Bob is typing…")
