"""`docs/start.md`, from an empty folder: every block runs as written, console blocks in a real browser console."""

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

VARIABLE = re.compile(r'(?<="socketId":")[\w-]+(?=")|(?<="ts":)\d+')
"""The parts that differ in each run: the id of a socket, and the time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the page's first two steps, with the clone beside it."""
    folder = tmp_path_factory.mktemp("start") / "notes"
    folder.mkdir()
    (folder.parent / "hubbub").symlink_to(ROOT)
    sh(folder, block(PAGE, "install"))
    (folder / "main.py").write_text(block(PAGE, "main.py"))
    return folder


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The address of the app: on a free port in place of 8000."""
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
        assert "DEVELOPMENT_SECRET" in log  # the warning that the page mentions
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page of the app that the guide says to open."""
    context = browser.new_context()
    page = context.new_page()
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())  # its styles are external
    page.goto(f"{address}/docs")
    yield page
    context.close()


class Console:
    """The console of a page, as in the developer tools."""

    def __init__(self, page: Page) -> None:
        self.lines: list[str] = []
        self._page = page
        self._session = page.context.new_cdp_session(page)
        page.on("console", self._on_message)

    def paste(self, text: str) -> None:
        answer = self._session.send("Runtime.evaluate", {"expression": text, "replMode": True})
        assert "exceptionDetails" not in answer, answer

    def wait_for(self, text: str) -> None:
        while not any(text in line for line in self.lines):
            self._page.wait_for_event("console")

    def _on_message(self, message: ConsoleMessage) -> None:
        if message.type == "log":  # errors are about the styles that were blocked
            self.lines.append(message.text)


def test_a_signal_arrives_in_the_console(page: Page, folder: Path, address: str) -> None:
    console = Console(page)

    console.paste(sh(folder, block(PAGE, "token")))
    console.paste(block(PAGE, "console"))
    console.wait_for("server.system.subscribed")
    console.wait_for("server.presence.update")
    sh(folder, block(PAGE, "write").replace(WRITTEN, address))
    console.wait_for("server.notes.added")

    assert [VARIABLE.sub("…", line) for line in console.lines] == VARIABLE.sub(
        "…", block(PAGE, "what you see")
    ).splitlines()


def test_without_the_cookie_the_console_says_4401(page: Page) -> None:
    console = Console(page)

    console.paste(block(PAGE, "console"))
    console.wait_for("closed")

    assert console.lines == ["closed 4401 unauthorized"]


def test_every_block_of_the_page_is_one_of_these() -> None:
    titles = [each.title for each in blocks(PAGE)]

    assert titles == ["install", "main.py", "run", "token", "console", "write", "what you see"]


def sh(folder: Path, script: str) -> str:
    """Run a block in a plain shell, and return its output."""
    run = subprocess.run(["bash", "-ec", script], cwd=folder, env=clean({}), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def clean(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment without the variables of the tests' interpreter."""
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in ours} | variables
