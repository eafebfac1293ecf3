"""The check of the API's documentation can fail, and finds what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubbub
import hubbub.testing
from tools.docs.api import complaints, public_names

SOURCE = '''
"""A package."""

__all__ = ["LIMIT", "Door", "bare", "open_door"]

#: How many may come in.
LIMIT = 3
_hidden = 4


class Door:
    """A way in.

    width: in metres.
    """

    height: int = 2
    width: int = 1
    colour = "red"
    """What it looks like."""

    def close(self) -> None:
        """Shuts it."""

    def lock(self) -> None:
        pass

    def _jam(self) -> None:
        pass


def open_door() -> Door:
    """Opens one."""


def bare() -> None:
    pass
'''


@pytest.fixture
def names(tmp_path: Path) -> dict[str, bool]:
    (tmp_path / "house.py").write_text(SOURCE)
    return {name.path: name.documented for name in public_names(["house"], search_paths=[str(tmp_path)])}


def test_docstrings_comments_and_the_class_document_a_name(names: dict[str, bool]) -> None:
    assert [path for path, documented in names.items() if documented] == [
        "house.LIMIT",
        "house.Door",
        "house.Door.width",
        "house.Door.colour",
        "house.Door.close",
        "house.open_door",
    ]


def test_whatever_has_none_is_named(names: dict[str, bool]) -> None:
    assert [path for path, documented in names.items() if not documented] == [
        "house.Door.height",
        "house.Door.lock",
        "house.bare",
    ]


def test_what_the_reference_leaves_out_is_named(tmp_path: Path) -> None:
    (tmp_path / "yard.py").write_text(
        '__all__ = ["gate", "path"]\n\n\ndef gate(): "A gate."\n\n\ndef path(): "A path."\n'
    )
    names = public_names(["yard"], search_paths=[str(tmp_path)])

    assert complaints(names, {"yard.gate"}) == ["yard.path: not in the API reference"]


def test_every_public_name_of_hubbub_is_looked_at() -> None:
    looked_at = {name.path for name in public_names()}

    assert {f"hubbub.{name}" for name in hubbub.__all__} <= looked_at
    assert {f"hubbub.testing.{name}" for name in hubbub.testing.__all__} <= looked_at
    assert {"hubbub.Gateway.publish", "hubbub.Limits.unsent_bytes", "hubbub.MessengerDomain.on_connect"} <= looked_at


def test_every_public_name_of_hubbub_has_a_docstring() -> None:
    assert [name.path for name in public_names() if not name.documented] == []
