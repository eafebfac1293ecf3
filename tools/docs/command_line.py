"""The page of the command line, made from the commands themselves and kept, so that it can be read where it lies."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.docs.stage import DOCS

PAGE: Final = DOCS / "reference" / "command-line.md"


EXAMPLES: Final = re.compile(r"^Examples:\n(.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
MARKUP: Final = re.compile(r"\[/?dim\]")
SUMMARY: Final = re.compile(r"^\* `([a-z]+)`: .*\.\.\.$", re.MULTILINE)


def command_line_page() -> str:
    """Asks Typer for the documentation of ``hubbub``, and makes a page of it."""
    typer = Path(sys.executable).with_name("typer")
    made = subprocess.run(
        [typer, "hubbub.cli.main", "utils", "docs", "--name", "hubbub", "--title", "The command line"],
        check=True,
        capture_output=True,
        text=True,
    )
    return as_page(made.stdout)


def as_page(text: str) -> str:
    """Mends what Typer writes: HTML in code, examples that are no code, and summaries that are cut short."""
    text = EXAMPLES.sub(lambda match: f"**Examples**:\n\n```sh\n{MARKUP.sub('', match[1])}\n```", html.unescape(text))
    return SUMMARY.sub(lambda match: f"* `{match[1]}`: {_first_sentence(match, text)}", text)


def _first_sentence(command: re.Match[str], text: str) -> str:
    """Gives the first sentence of a command's own section, the next one of its name."""
    section = re.compile(rf"^##+ `[a-z ]+ {command[1]}`\n\n(.+?)(?:\.\s|\.?\n\n)", re.MULTILINE | re.DOTALL)
    found = section.search(text, command.end())
    return f"{found[1]}." if found else command.group().partition(": ")[2]


def out_of_step() -> list[str]:
    """Tells whether the page that is kept is not what the commands say now."""
    if PAGE.exists() and PAGE.read_text() == command_line_page():
        return []
    return [f"{PAGE.name} is not in step with the commands: python -m tools.docs --write"]
