"""Invalid events do not break the page."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import WebSocketRoute, expect

from tests.browser.conftest import Room
from tests.browser.person import Person

People = Callable[..., Person]

STRANGE = (
    "no JSON",
    "[]",
    "null",
    '"<script>"',
    json.dumps({"type": "server.nobody.knows", "data": {}, "ts": 1}),
    json.dumps({"type": "server.presence.update", "data": {"userId": 7, "status": "asleep"}, "ts": 1}),
    json.dumps({"type": "server.messenger.message_new", "data": None, "ts": 1}),
    json.dumps({"type": "server.presence.batch", "data": {"users": [None]}, "ts": 1}),
    json.dumps({"type": "client.messenger.typing", "data": {"conversationId": "nowhere"}, "ts": 1}),
    json.dumps({"type": "__proto__", "data": {}, "ts": 1}),
)


def test_unknown_and_malformed_events_are_ignored(person: People, room: Room) -> None:
    alice, bob = person("alice"), person("bob").log_in().opens(room.title)

    def relay(page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            page.send(message)
            for strange in STRANGE:
                page.send(strange)
            page.send(b"\x00\xff")

        server.on_message(pass_on)

    alice.page.route_web_socket("/ws", relay)
    alice.log_in().opens(room.title)
    bob.types("Hel")
    expect(alice.typing).to_have_text("Bob is typing…")
    bob.says("Hello")
    expect(alice.message("Hello")).to_be_visible()
    expect(alice.banner).to_be_empty()
