"""mypy accepts correct code of an app, and catches a wrong payload type, name or direction."""

from __future__ import annotations

import re
from pathlib import Path

from tests.contract.programs import mypy

TYPED = Path(__file__).parent / "typed"
MARK = re.compile(r"  # type: ignore\[([a-z-]+)\]")


def test_mypy_catches_each_mistake_and_nothing_else(tmp_path: Path) -> None:
    marked = (TYPED / "bad.py").read_text()
    unmarked = tmp_path / "unmarked.py"
    unmarked.write_text(MARK.sub("", marked))
    expected = [
        (unmarked.name, number, mark[1])
        for number, line in enumerate(marked.splitlines(), 1)
        if (mark := MARK.search(line))
    ]

    assert len(expected) > 15
    assert mypy(TYPED / "good.py", unmarked) == expected
