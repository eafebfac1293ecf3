"""The README works for a newcomer: every block runs as written, up to the browser's console."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from playwright.async_api import CDPSession, async_playwright

from tests.browser.chromium import ARGUMENTS, find_chromium
from tests.contract.programs import ROOT
from tests.packaging.conftest import Built
from tests.packaging.environments import Environment, run, succeed
from tests.processes import command

README = (ROOT / "README.md").read_text()
BLOCKS = dict(re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', README, re.MULTILINE | re.DOTALL))

# The README installs from a clone. The tests install the wheel, which was built from this one.
FROM_A_CLONE = "../hubbub"
PATIENCE = 30_000


async def test_the_readme_leads_to_a_signal_in_the_console(
    built: Built, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    began = time.monotonic()
    environment = Environment.make(tmp_path / ".venv", *packages(str(built.wheel)))
    (tmp_path / "main.py").write_text(BLOCKS["main.py"])
    path = f"{environment.bin}:/usr/bin:/bin"
    sign_in, serve = BLOCKS["run"].strip().splitlines()
    cookie = succeed("sh", "-c", sign_in, cwd=tmp_path, PATH=path)

    assert serve == "hubbub run main:app"
    async with (
        command(tmp_path, *serve.split(), "--port", "0", PATH=path) as server,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGUMENTS))
        page = await browser.new_page()
        await page.goto(f"{server.address.http}/docs", wait_until="commit")
        console = await page.context.new_cdp_session(page)
        await paste(console, cookie)
        async with page.expect_console_message(is_event("server.system.subscribed"), timeout=PATIENCE):
            await paste(console, BLOCKS["console"])
        async with page.expect_console_message(is_event("server.messenger.message_new"), timeout=PATIENCE) as heard:
            write = BLOCKS["write"].replace("http://127.0.0.1:8000", server.address.http)
            await asyncio.to_thread(lambda: succeed("sh", "-c", write, PATH=path))
        signal = json.loads((await heard.value).text)
        await browser.close()

    assert signal["data"]["conversationId"] == "c1"
    typed = sum(len(BLOCKS[block].splitlines()) for block in ("install", "run", "write"))
    tell(f"{typed} commands and two pastes, {time.monotonic() - began:.0f} s of machine time")


def test_a_domain_is_one_file_and_one_line(messenger: Environment, tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text(BLOCKS["orders.py"])
    line = "domains=[MessengerDomain(), Orders()]"
    assert f"`{line}`" in README
    (tmp_path / "main.py").write_text(
        "from orders import Orders\n" + BLOCKS["main.py"].replace("domains=[MessengerDomain()]", line)
    )

    ended = run(messenger.hubbub, "contract", "export", "main:app", "--format", "typescript", cwd=tmp_path)

    assert '"server.orders.shipped"' in ended.stdout


async def paste(console: CDPSession, text: str) -> None:
    """Run a text as DevTools runs what is pasted into its console."""
    answer = await console.send("Runtime.evaluate", {"expression": text, "replMode": True})
    assert "exceptionDetails" not in answer, answer


def packages(wheel: str) -> list[str]:
    """Return what the README installs, with the wheel in place of the clone."""
    *_, install = BLOCKS["install"].strip().splitlines()
    words = install.split()
    assert words[:3] == ["pip", "install", FROM_A_CLONE]
    return [wheel, *words[3:]]


def is_event(type: str) -> Callable[[object], bool]:
    return lambda message: f'"type":"{type}"' in getattr(message, "text", "")
