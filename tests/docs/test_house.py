"""CONTRIBUTING has the map of the house: a new room is put on it."""

import re

from tests.contract.programs import ROOT

MAP = re.findall(r"`([\w./]+)`", (ROOT / "CONTRIBUTING.md").read_text())


def test_every_room_of_the_library_is_on_the_map() -> None:
    house = ROOT / "src" / "hubbub"
    modules = {path.name for path in house.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in house.glob("*/__init__.py")}

    assert sorted((modules | folders) - set(MAP)) == []


def test_the_map_shows_no_module_that_is_gone() -> None:
    assert [name for name in MAP if name.endswith(".py") and not (ROOT / "src" / "hubbub" / name).exists()] == []
