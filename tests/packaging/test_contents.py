"""Wheel and sdist contain everything that they need, and nothing else."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.contract.programs import ROOT
from tests.packaging.conftest import Built

PACKAGES = ("hubbub", "hubbub_messenger")


@pytest.fixture(scope="module")
def wheel(built: Built) -> zipfile.ZipFile:
    return zipfile.ZipFile(built.wheel)


def sources() -> set[str]:
    """Return every file of the two packages in this working tree, with the built web app."""
    files = (path for name in PACKAGES for path in (ROOT / "src" / name).rglob("*") if path.is_file())
    return {path.relative_to(ROOT / "src").as_posix() for path in files if "__pycache__" not in path.parts}


def files_of(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if not name.endswith("/")}


def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_has_every_file_of_the_packages_and_its_metadata(
    wheel: zipfile.ZipFile, built: Built, tell: Callable[[str], None]
) -> None:
    described = {
        f"hubbub-{metadata(wheel)['Version']}.dist-info/{name}"
        for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }

    assert files_of(wheel) == sources() | described
    tell(
        f"the wheel is {built.wheel.stat().st_size / 1000:.0f} KB, the sdist {built.sdist.stat().st_size / 1000:.0f} KB"
    )


@pytest.mark.parametrize(
    "needed",
    [
        "hubbub/py.typed",
        "hubbub_messenger/py.typed",
        "hubbub/presence/redis/lua/write.lua",
        "hubbub_messenger/migrations/versions/0001_first_tables.py",
        "hubbub_messenger/migrations/script.py.mako",
        "hubbub_messenger/static/index.html",
        "hubbub_messenger/static/favicon.svg",
    ],
)
def test_files_other_than_python_are_in_the_wheel_too(wheel: zipfile.ZipFile, needed: str) -> None:
    assert needed in files_of(wheel)


def test_the_scripts_and_styles_of_the_page_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    static = "hubbub_messenger/static"
    page = wheel.read(f"{static}/index.html").decode()
    assets = {name.removeprefix(static) for name in files_of(wheel) if name.startswith(f"{static}/assets/")}

    assert {Path(name).suffix for name in assets} == {".js", ".css"}
    assert all(name in page for name in assets)


def test_the_wheel_contains_nothing_private(wheel: zipfile.ZipFile) -> None:
    kinds = {Path(name).suffix for name in files_of(wheel) if ".dist-info/" not in name}

    assert kinds == {".py", ".typed", ".lua", ".mako", ".html", ".js", ".css", ".svg"}
    for name in files_of(wheel):
        text = wheel.read(name)
        assert b"sourceMappingURL" not in text, name
        assert str(ROOT).encode() not in text, name
        assert str(Path.home()).encode() + b"/" not in text, name


def test_the_licence_is_in_every_package(wheel: zipfile.ZipFile) -> None:
    licence = (ROOT / "LICENSE").read_text()
    name = next(name for name in files_of(wheel) if name.endswith("/licenses/LICENSE"))

    assert wheel.read(name).decode() == licence
    assert metadata(wheel)["License-Expression"] == "MIT"
    assert (ROOT / "web" / "client" / "LICENSE").read_text() == licence  # npm looks for it in the package's folder


def test_the_sdist_contains_the_sources_of_the_wheel(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        root = archive.getnames()[0].split("/")[0]
        files = {member.name.removeprefix(f"{root}/") for member in archive.getmembers() if member.isfile()}

    beside = {"PKG-INFO", "README.md", "LICENSE", "pyproject.toml"}
    assert files - {"pyproject.toml.orig"} == {f"src/{name}" for name in sources()} | beside  # .orig: newer uv_build


def test_both_packages_have_one_version(wheel: zipfile.ZipFile) -> None:
    npm = json.loads((ROOT / "web" / "client" / "package.json").read_text())

    assert npm["version"] == metadata(wheel)["Version"]
