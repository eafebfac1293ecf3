"""`docs/orders.md` and `docs/contract.md` are correct: every block is run, compiled or compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hubbub.contract.export.typescript import typescript
from tests.contract.kinds import MESSENGER
from tests.contract.programs import ROOT, mypy, tsc

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """Return (title, text) of each block in a language."""
    text = (ROOT / "docs" / page).read_text()
    return [(title, body) for found, title, body in BLOCK.findall(text) if found == language]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page."""
    folder = tmp_path_factory.mktemp("shop")
    for name, text in blocks("orders.md", "python"):
        (folder / name).write_text(text)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def hubbub_contract(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-c", "from hubbub.cli.contract import app; app()", *arguments)


def test_the_tests_of_the_orders_page_pass(shop: Path) -> None:
    config = str(ROOT / "pyproject.toml")

    tests = run(shop, "-m", "pytest", "-c", config, "--rootdir=.", "-p", "no:cacheprovider", "test_orders.py")

    assert tests.returncode == 0, tests.stdout
    assert "3 passed" in tests.stdout


def test_the_code_of_the_orders_page_is_typed(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYPYPATH", str(shop))

    assert mypy(*sorted(shop.glob("*.py"))) == []


def test_the_typescript_of_the_orders_page_is_the_export_and_compiles(shop: Path, tmp_path: Path) -> None:
    contracts = hubbub_contract(shop, "export", "--format", "typescript", "--guards", "main:app").stdout
    shown = [text for title, text in blocks("orders.md", "ts") if title == "contracts.ts"]
    uses = {title: text for title, text in blocks("orders.md", "ts") if title != "contracts.ts"}

    assert [text in contracts for text in shown] == [True, True]
    assert tsc(tmp_path, {"contracts.ts": contracts, **uses}) == []


def test_the_check_prints_what_the_orders_page_shows(shop: Path, tmp_path: Path) -> None:
    for file in shop.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text().replace("customer_id", "buyer_id"))
    hubbub_contract(shop, "export", "--format", "json-schema", "--output", str(tmp_path / "released.json"), "main:app")

    check = hubbub_contract(tmp_path, "check", "released.json", "main:app")

    assert [check.stdout] == [text for _, text in blocks("orders.md", "text")]
    assert check.returncode == 1


def test_the_contract_page_shows_the_messengers_file() -> None:
    contracts = typescript(MESSENGER, guards=True)
    shown = blocks("contract.md", "ts")

    assert [text in contracts for _, text in shown] == [True] * 3
