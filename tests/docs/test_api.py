"""The check of docstrings reports what is missing, and passes for Hubbub."""

from __future__ import annotations

from pathlib import Path

import pytest

import hubbub
import hubbub.testing
from tools.docs.api import Name, docstring_problems, problems, public_names

SOURCE = '''
"""A package."""

__all__ = ["LIMIT", "Door", "bare", "open_door"]

LIMIT = 3
"""How many may enter."""
_hidden = 4


class Door:
    """A way in.

    Args:
        width: In metres.

    Attributes:
        material: Wood or glass.
    """

    height: int = 2
    colour = "red"
    """What it looks like."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.material = "wood"

    def close(self) -> None:
        """Close it."""

    def lock(self) -> None:
        pass

    def _jam(self) -> None:
        pass


def open_door(slowly: bool) -> Door:
    """Open a door.

    Args:
        slowly: Without a noise.
        loudly: With a noise.
    """


def bare() -> None:
    pass
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "house.py").write_text(SOURCE)
    return tmp_path


@pytest.fixture
def names(folder: Path) -> list[Name]:
    return public_names(["house"], search_paths=[str(folder)])


def test_a_name_is_documented_by_a_docstring_or_in_that_of_its_class(names: list[Name]) -> None:
    assert {name.path for name in names if name.documented} == {
        "house.LIMIT",
        "house.Door",
        "house.Door.width",
        "house.Door.material",
        "house.Door.colour",
        "house.Door.close",
        "house.open_door",
    }


def test_a_name_without_a_docstring_is_reported(names: list[Name]) -> None:
    reference = {name.path for name in names}

    assert problems(names, reference) == [
        "house.Door.height: no docstring",
        "house.Door.lock: no docstring",
        "house.bare: no docstring",
    ]


def test_a_name_that_the_reference_leaves_out_is_reported(names: list[Name]) -> None:
    documented = [name for name in names if name.documented]

    assert problems(documented, {"house.Door", "house.Door.colour", "house.open_door"}) == [
        "house.LIMIT: not in the API reference",
        "house.Door.close: not in the API reference",
    ]


def test_a_docstring_about_a_parameter_that_does_not_exist_is_reported(folder: Path) -> None:
    (problem,) = docstring_problems("house", search_paths=[str(folder)])

    assert problem.endswith("Parameter 'loudly' does not appear in the function signature")


def test_every_public_name_of_hubbub_is_checked() -> None:
    checked = {name.path for name in public_names()}

    assert {f"hubbub.{name}" for name in hubbub.__all__} <= checked
    assert {f"hubbub.testing.{name}" for name in hubbub.testing.__all__} <= checked
    assert {"hubbub.Gateway.publish", "hubbub.Limits.unsent_bytes", "hubbub.MessengerDomain.on_connect"} <= checked


def test_every_public_name_of_hubbub_has_a_docstring() -> None:
    assert [name.path for name in public_names() if not name.documented] == []


def test_no_docstring_of_hubbub_describes_a_parameter_that_does_not_exist() -> None:
    assert docstring_problems("hubbub") == []
