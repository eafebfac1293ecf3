"""``docs/start.md`` from an empty folder: every block is run as it is written, the console's in a real console."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.docs.pages import ROOT, block, blocks

PAGE = "docs/start.md"
WRITTEN = "http://127.0.0.1:8000"

#: What differs each time: the id of a socket, and the time.
PASSING = re.compile(r'(?<="socketId":")[\w-]+(?=")|(?<="ts":)\d+')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Is a folder in which the page's first two steps were followed; the clone lies beside it."""
    folder = tmp_path_factory.mktemp("start") / "notes"
    folder.mkdir()
    (folder.parent / "hubbub").symlink_to(ROOT)
    sh(folder, block(PAGE, "install"))
    (folder / "main.py").write_text(block(PAGE, "main.py"))
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """Is where the app listens: on any free port instead of 8000."""
    process = subprocess.Popen(
        ["bash", "-ec", f". .venv/bin/activate\nexec {block(PAGE, 'run')}"],
        cwd=folder,
        env=clean({"PORT": "0", "PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        log = ""
        while (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log)) is None:
            line = process.stdout.readline()
            assert line, log
            log += line
        assert "DEVELOPMENT_SECRET" in log  # the warning that the page speaks of
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Is the page of the app that the guide says to open."""
    context = browser.new_context()
    page = context.new_page()
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())  # it asks the web for its looks
    page.goto(f"{address}/docs")
    yield page
    context.close()


class Console:
    """The console of a page, as its developer tools have it."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        self._page = page
        self._session = page.context.new_cdp_session(page)
        page.on("console", self._hear)

    def paste(self, text: str) -> None:
        answer = self._session.send("Runtime.evaluate", {"expression": text, "replMode": True})
        assert "exceptionDetails" not in answer, answer

    def wait_for(self, text: str) -> None:
        while not any(text in line for line in self.said):
            self._page.wait_for_event("console")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "log":  # an error is what the page says of its looks, which were kept from it
            self.said.append(message.text)


def test_a_signal_arrives_in_the_console(page: Page, folder: Path, address: str) -> None:
    console = Console(page)

    console.paste(sh(folder, block(PAGE, "token")))
    console.paste(block(PAGE, "console"))
    console.wait_for("server.system.subscribed")
    console.wait_for("server.presence.update")
    sh(folder, block(PAGE, "write").replace(WRITTEN, address))
    console.wait_for("server.notes.added")

    assert [PASSING.sub("…", line) for line in console.said] == PASSING.sub(
        "…", block(PAGE, "what you see")
    ).splitlines()


def test_without_the_cookie_the_console_says_4401(page: Page) -> None:
    console = Console(page)

    console.paste(block(PAGE, "console"))
    console.wait_for("closed")

    assert console.said == ["closed 4401 unauthorized"]


def test_every_block_of_the_page_is_one_of_these() -> None:
    titles = [each.title for each in blocks(PAGE)]

    assert titles == ["install", "main.py", "run", "token", "console", "write", "what you see"]


def sh(folder: Path, script: str) -> str:
    """Runs a block in a shell as a person has it; gives what it prints."""
    run = subprocess.run(["bash", "-ec", script], cwd=folder, env=clean({}), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def clean(variables: dict[str, str]) -> dict[str, str]:
    """Gives the environment without what belongs to the interpreter of the tests."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in ours} | variables
