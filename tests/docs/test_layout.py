"""CONTRIBUTING and the architecture page list exactly the folders of the library."""

import re

from tests.contract.programs import ROOT

HOUSE = ROOT / "src" / "hubbub"
MAP = re.findall(r"`([\w./]+)`", (ROOT / "CONTRIBUTING.md").read_text())
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
PICTURE = (ROOT / "docs" / "images" / "house.svg").read_text()


def modules() -> set[str]:
    return {path.name for path in HOUSE.glob("*.py")} - {"__init__.py"}


def folders() -> set[str]:
    return {path.parent.name for path in HOUSE.glob("*/__init__.py")}


def test_every_folder_of_the_library_is_on_the_map() -> None:
    assert sorted((modules() | {f"{name}/" for name in folders()}) - set(MAP)) == []


def test_the_map_shows_no_module_that_does_not_exist() -> None:
    assert [name for name in MAP if name.endswith(".py") and not (HOUSE / name).exists()] == []


def test_every_file_that_the_architecture_page_names_exists() -> None:
    named = re.findall(r"`([\w/]+\.(?:py|lua)|[\w/]+/)`", ARCHITECTURE)

    assert len(named) > 30
    assert [name for name in named if not any((base / name).exists() for base in (HOUSE, ROOT))] == []


def test_the_picture_shows_every_folder() -> None:
    shown = set(re.findall(r"[\w/]+(?:\.py)?", " ".join(re.findall(r'class="name"[^>]*>([^<]+)<', PICTURE))))

    assert sorted(folders() - shown) == []
    assert sorted(name for name in modules() if not {name, name.removesuffix(".py")} & shown) == []
