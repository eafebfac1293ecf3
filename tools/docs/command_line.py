"""The reference page of the command line, made from the commands themselves.

The page is committed, so that it can be read in the repository. A check fails if it differs from what the commands say.
"""

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
    """Return the page: what Typer writes about `hubbub`, with corrections."""
    typer = Path(sys.executable).with_name("typer")
    made = subprocess.run(
        [typer, "hubbub.cli.main", "utils", "docs", "--name", "hubbub", "--title", "The command line"],
        check=True,
        capture_output=True,
        text=True,
    )
    return as_page(made.stdout)


def as_page(text: str) -> str:
    """Correct what Typer writes: HTML entities in code, examples that are not code, and truncated summaries."""
    text = EXAMPLES.sub(lambda match: f"**Examples**:\n\n```sh\n{MARKUP.sub('', match[1])}\n```", html.unescape(text))
    return SUMMARY.sub(lambda match: f"* `{match[1]}`: {_first_sentence(match, text)}", text)


def _first_sentence(command: re.Match[str], text: str) -> str:
    """Return the first sentence of a command's own section, which is the next section with its name."""
    section = re.compile(rf"^##+ `[a-z ]+ {command[1]}`\n\n(.+?)(?:\.\s|\.?\n\n)", re.MULTILINE | re.DOTALL)
    found = section.search(text, command.end())
    return f"{found[1]}." if found else command.group().partition(": ")[2]


def check_page() -> list[str]:
    """Return a problem if the committed page does not match the commands."""
    if PAGE.exists() and PAGE.read_text() == command_line_page():
        return []
    return [f"{PAGE.name} is out of date: run `python -m tools.docs --write`"]
