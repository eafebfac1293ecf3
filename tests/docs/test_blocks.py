"""Every code block of README.md and docs/ is run, or checked as far as possible."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import msgspec.toml
import msgspec.yaml
import pytest

import hubbub
from hubbub.contract.envelope import Envelope, decode
from tests.contract.kinds import MESSENGER
from tests.contract.programs import node
from tests.docs import commands
from tests.docs.pages import DOCS, ROOT, Block, blocks

PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in DOCS.rglob("*.md") if "decisions" not in path.parts),
]

# Pages whose blocks in these languages another test runs, compiles or compares, and which test does.
RUN_BY = {
    "docs/authentication.md": ({"python", "ts"}, "tests/docs/test_authentication.py"),
    "docs/contract.md": ({"ts"}, "tests/contract/test_pages.py"),
    "docs/proxies.md": ({"nginx", "haproxy", "caddyfile"}, "tests/deploy/test_proxies.py"),
    "docs/orders.md": ({"python", "ts", "text"}, "tests/contract/test_pages.py"),
    "docs/start.md": ({"python", "js", "text"}, "tests/browser/test_start.py"),
    "docs/testing.md": ({"python"}, "tests/testing/test_testing.py"),
}

# The names that Python blocks of other pages need in order to run as written.
STUBS = {
    "docs/limits.md": """
        from types import SimpleNamespace
        from hubbub import ClientEvent, Router, event
        @event("client.orders.viewing")
        class Viewing(ClientEvent, frozen=True): ...
        router, self = Router(), SimpleNamespace(viewing=print)
    """,
    "docs/metrics.md": """
        from fastapi import FastAPI
        from hubbub import Gateway
        app, gateway = FastAPI(), Gateway(authenticate=print)
    """,
    "docs/presence.md": """
        from fastapi import FastAPI
        from pydantic import BaseModel
        from hubbub import Gateway, PresenceState
        class Message(BaseModel): ...
        class User(BaseModel):
            id: str
        app, gateway = FastAPI(), Gateway(authenticate=print)
    """,
}

# Blocks that are not run, and why. They are checked as far as possible without running them.
NOT_RUN = {
    ("docs/many-nodes.md", "python"): "needs a Redis: tests/test_publisher.py and tests/cluster do it with one",
}

# Blocks in languages that no test here reads, and why.
NOT_READ = {
    ("docs/wire.md", "http"): "shows what tests/docs/wire_client.py sends",
}

# Parsers of configuration files.
READERS: dict[str, Callable[[str], object]] = {
    "yaml": msgspec.yaml.decode,
    "toml": msgspec.toml.decode,
    "ini": lambda text: configparser.ConfigParser(strict=False, interpolation=None).read_string(text),
}

ALL = [block for page in PAGES for block in blocks(page)]


def in_language(*languages: str) -> pytest.MarkDecorator:
    """Run a test for each block in these languages."""
    return pytest.mark.parametrize("block", [each for each in ALL if each.language in languages], ids=str)


def is_run(block: Block) -> bool:
    languages, _ = RUN_BY.get(block.page, (set(), ""))
    return block.language in languages


# --- every block is covered ------------------------------------------------------------------------------------------


def test_every_language_is_read_by_a_test_or_listed_with_a_reason() -> None:
    read = {"python", "json", "sh", "console", "js", *READERS}
    unread = {
        (block.page, block.language) for block in ALL if block.language not in read and not is_run(block)
    } - NOT_READ.keys()

    assert sorted(unread) == []


def test_every_test_that_is_listed_for_a_page_names_the_page() -> None:
    wrong = [page for page, (_, test) in RUN_BY.items() if page.rpartition("/")[2] not in (ROOT / test).read_text()]

    assert wrong == []


def test_every_listed_page_and_language_exists() -> None:
    shown = {(block.page, block.language) for block in ALL}

    assert [each for each in (*NOT_RUN, *NOT_READ) if each not in shown] == []
    assert [page for page, (languages, _) in RUN_BY.items() if not {(page, each) for each in languages} <= shown] == []
    assert [page for page in STUBS if (page, "python") not in shown] == []


# --- Python ---------------------------------------------------------------------------------------------------------


@in_language("python")
def test_python_uses_only_what_hubbub_has(block: Block) -> None:
    tree = ast.parse(block.text)

    assert list(unknown_names(tree)) == []


@pytest.mark.parametrize(
    "page", sorted({block.page for block in ALL if block.language == "python" and not is_run(block)})
)
def test_python_runs(page: str) -> None:
    if (page, "python") in NOT_RUN:
        return
    source = "\n".join(
        [inspect.cleandoc(STUBS.get(page, "")), *(each.text for each in blocks(page) if each.language == "python")]
    )

    run = subprocess.run([sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, cwd=ROOT)

    assert run.returncode == 0, run.stderr


def unknown_names(tree: ast.Module) -> Iterator[str]:
    """Yield imports from hubbub, attributes of `gateway` and arguments of hubbub's classes that do not exist."""
    for part in ast.walk(tree):
        if isinstance(part, ast.ImportFrom) and (part.module or "").partition(".")[0] == "hubbub":
            module = importlib.import_module(part.module or "")
            yield from (f"{part.module}.{each.name}" for each in part.names if not is_public(module, each.name))
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "gateway":
            if not hasattr(hubbub.Gateway, part.attr) and part.attr not in ("path", "stats", "contract"):
                yield f"gateway.{part.attr}"
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
            called = getattr(hubbub, part.func.id, None)
            if called is not None:
                known = inspect.signature(called).parameters
                yield from (
                    f"{part.func.id}({each.arg}=)" for each in part.keywords if each.arg and each.arg not in known
                )


def is_public(module: Any, name: str) -> bool:
    return name in getattr(module, "__all__", dir(module))


# --- the others -----------------------------------------------------------------------------------------------------


@in_language("json")
def test_json_with_a_type_is_an_event_of_the_contract(block: Block) -> None:
    document = json.loads(block.text)

    if isinstance(document, dict) and "type" in document:
        spec = MESSENGER[document["type"]]
        payload = msgspec.json.decode(
            msgspec.json.decode(block.text, type=Envelope[msgspec.Raw]).data, type=spec.payload
        )
        assert json.loads(msgspec.json.encode(payload)) == document["data"]
        if spec.from_client:
            assert decode(block.text, MESSENGER).data == payload


@in_language("sh")
def test_commands_and_their_options_exist(block: Block) -> None:
    commands.check(block.text)


@in_language("console")
def test_commands_typed_in_a_console_exist(block: Block) -> None:
    commands.check(commands.console_commands(block.text))


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ("hubbub serve main:app", "serve"),
        ("hubbub run main:app --prot 1", "--prot"),
        ("HUBBUB_SECRET=a hubbub token alice bob", "bob"),
        ('echo "$(hubbub tokens alice)"', "tokens"),
        ("make everything", "everything"),
        ("python -m benchmarks.nothing", "nothing"),
        ("sudo /opt/venv/bin/hubbub demon", "demon"),
        ("until make everything; do sleep 1; done", "everything"),
        ("for each in 1 2; do", "syntax error"),
    ],
)
def test_a_command_that_does_not_exist_is_reported(script: str, what: str) -> None:
    with pytest.raises(commands.UnknownCommand, match=what):
        commands.check(script)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from hubbub import Gatewey", "hubbub.Gatewey"),
        ("gateway.kick('alice')", "gateway.kick"),
        ("Gateway(authenticate=a, redis='x')", "Gateway(redis=)"),
    ],
)
def test_a_name_that_does_not_exist_is_reported(source: str, found: str) -> None:
    assert list(unknown_names(ast.parse(source))) == [found]


@in_language(*READERS)
def test_configuration_can_be_read(block: Block) -> None:
    READERS[block.language](block.text)


@in_language("js")
def test_javascript_is_well_formed(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.mjs"
    file.write_text(block.text)

    run = subprocess.run([node(), "--check", file], capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
