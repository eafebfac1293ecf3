"""Real browsers against the real server. Run them separately: `pytest tests/browser`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, expect

from hubbub_messenger.web_app import STATIC
from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.browser.person import Person
from tests.browser.server import Caller, Server

HERE = Path(__file__).parent

expect.set_options(timeout=10_000)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip these tests unless named: async tests in the same process would fail, as Playwright keeps a loop running."""
    is_named = any(HERE in (path := Path(arg.split("::")[0]).resolve()).parents or path == HERE for arg in config.args)
    return None if is_named else True


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": find_chromium(), "args": list(ARGUMENTS)}


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start messengers that have only the demo data: `start_server(session_hours="1")`."""
    if not (STATIC / "index.html").exists():
        pytest.exit("the web app is not built: run `npm ci && npm run build` in the folder web", 2)
    servers: list[Server] = []

    def start(**settings: str) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("server"), settings))
        servers[-1].start()
        return servers[-1]

    yield start
    for each in servers:
        each.stop()
    logs_with_errors = [each.log for each in servers if "Traceback" in each.log]
    assert logs_with_errors == []


@pytest.fixture(scope="session")
def shared_server(start_server: Callable[..., Server]) -> Server:
    """The server of all tests that do not stop or configure it. It keeps the data of earlier tests."""
    return start_server()


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The server that persons visit. A test module may override it."""
    return shared_server


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Callable[..., Person]]:
    """Return a factory of persons: `person("alice")` uses a fresh browser."""
    people: list[Person] = []

    def make(name: str, **options: Any) -> Person:
        context = browser.new_context(base_url=server.url, locale="en-GB", **options)
        people.append(Person(name, context, server.url))
        return people[-1]

    yield make
    errors = {each.name: each.errors for each in people if each.errors}
    for each in people:
        each.context.close()
    assert errors == {}


@pytest.fixture
def caller(server: Server) -> Iterator[Callable[[str], Caller]]:
    """Return a factory of users who only use REST: `caller("alice")`."""
    callers: list[Caller] = []

    def make(name: str) -> Caller:
        callers.append(Caller(server.url, name))
        return callers[-1]

    yield make
    for each in callers:
        each.close()


class Room(NamedTuple):
    """A conversation used by one test only."""

    id: str
    title: str


_numbers = itertools.count(1)


@pytest.fixture
def room(caller: Callable[[str], Caller]) -> Room:
    """A conversation of alice, bob and carol."""
    title = f"Room {next(_numbers)}"
    return Room(caller("carol").start_conversation("alice", "bob", title=title), title)
