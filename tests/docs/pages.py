"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)(?: (?P<options>.*))?$")
_TITLE = re.compile(r'title="([^"]+)"')
_ROW = re.compile(r"^\|(.*)\|$")


class Block(NamedTuple):
    """One fenced block.

    Attributes:
        page: The path of its page in the repository.
        line: Where it starts, counted from 1.
        language: The language that the fence names.
        title: The option `title` of the fence, or an empty string.
        text: The text inside the fence.
    """

    page: str
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def blocks(page: str) -> tuple[Block, ...]:
    """Return the fenced blocks of a page, such as `docs/start.md`."""
    return tuple(_blocks(page, (ROOT / page).read_text()))


def block(page: str, title: str) -> str:
    """Return the text of the only block with a title."""
    (text,) = (each.text for each in blocks(page) if each.title == title)
    return text


def tables(page: str) -> Iterator[list[list[str]]]:
    """Yield the tables of a page as rows of cells, with the head, without the line of dashes."""
    table: list[list[str]] = []
    for line in [*(ROOT / page).read_text().splitlines(), ""]:
        row = _ROW.match(line)
        if row is None:
            if table:
                yield table
            table = []
        elif not set(row[1]) <= set("-|: "):
            table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", row[1])])


def table(page: str, *head: str) -> list[list[str]]:
    """Return the rows, without the head, of the only table whose first columns have these names."""
    (found,) = (each for each in tables(page) if tuple(each[0][: len(head)]) == head)
    return found[1:]


def _blocks(page: str, text: str) -> Iterator[Block]:
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            continue
        title = _TITLE.search(fence["options"] or "")
        inside = []
        for _, body in lines:
            if body.strip() == "```":
                break
            inside.append(body.removeprefix(fence["indent"]))
        else:
            raise ValueError(f"{page}:{number}: a block without an end")
        yield Block(page, number, fence["language"], title[1] if title else "", "\n".join(inside) + "\n")
