"""The server of `hubbub run`: it ticks, and stops at once when any thread sets `should_exit`."""

from __future__ import annotations

import asyncio
import threading

import pytest
import uvicorn

from hubbub.server.server import Server

TIMEOUT = 10.0


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("no request is sent")


class Ticking(Server):
    """Serves in a thread, and counts its ticks."""

    def __init__(self) -> None:
        super().__init__(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
        self.ticks = 0
        self.has_ticked = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)

    async def on_tick(self, counter: int) -> bool:
        is_over = await super().on_tick(counter)
        self.ticks += 1
        self.has_ticked.set()
        return is_over

    def wait_for_tick(self) -> None:
        assert self.has_ticked.wait(TIMEOUT)
        self.has_ticked.clear()


def test_it_stops_when_should_exit_is_set_and_not_at_its_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.server.server.TICK_SECONDS", 3600.0)
    server = Ticking()
    server.thread.start()
    server.wait_for_tick()

    server.should_exit = True

    server.thread.join(TIMEOUT)
    assert not server.thread.is_alive()
    assert server.ticks == 2


def test_it_renews_the_date_at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.server.server.TICK_SECONDS", 0.001)
    server = Ticking()
    server.thread.start()
    server.wait_for_tick()

    server.server_state.default_headers = []
    for _ in range(3):  # the first may be from a tick that was in progress
        server.wait_for_tick()

    assert b"date" in dict(server.server_state.default_headers)
    server.should_exit = True
    server.thread.join(TIMEOUT)


def test_setting_should_exit_after_shutdown_does_nothing() -> None:
    server = Ticking()
    server.thread.start()
    server.wait_for_tick()
    server.should_exit = True
    server.thread.join(TIMEOUT)
    assert not server.thread.is_alive()

    server.should_exit = True  # raises nothing

    assert server.should_exit
