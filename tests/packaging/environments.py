"""Clean virtual environments, made and filled by uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.contract.programs import ROOT

#: The versions of the lock file, so that a release of somebody else's changes no outcome here.
_EXPORT: Final = ("export", "--frozen", "--all-extras", "--no-dev", "--no-emit-project", "--no-hashes", "--quiet")


def uv() -> str:
    """Finds uv as the Makefile does: on the PATH, or where `make` has put it."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if found is None:
        raise RuntimeError("uv is missing: `make test` brings it, or `pip install uv`")
    return found


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, outside of any virtual environment; what it says on stderr is in stdout as well."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run(
        command, cwd=cwd, env=inherited | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def succeed(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Runs a program that must exit with 0; gives what it printed."""
    ended = run(*command, cwd=cwd, **variables)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment with nothing in it but what is installed here."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *requirements: str) -> Environment:
        """Makes one in ``folder`` with this Python, and installs into it."""
        succeed(uv(), "venv", "--quiet", "--python", sys.executable, folder)
        constraints = folder / "constraints.txt"
        succeed(uv(), *_EXPORT, "--project", ROOT, "--output-file", constraints)
        made = cls(folder)
        succeed(uv(), "pip", "install", "--python", made.python, "--constraints", constraints, *requirements)
        return made

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def python(self) -> str:
        return str(self.bin / "python")

    @property
    def hubbub(self) -> str:
        return str(self.bin / "hubbub")

    def packages(self) -> list[str]:
        """Gives the names of what is installed, sorted."""
        listed = json.loads(succeed(uv(), "pip", "list", "--quiet", "--python", self.python, "--format", "json"))
        return sorted(package["name"] for package in listed)

    def sizes(self) -> Counter[str]:
        """Gives the bytes of what is installed, by folder, without what Python compiles later."""
        sizes: Counter[str] = Counter()
        (installed,) = self.folder.glob("lib/*/site-packages")
        for path in installed.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                sizes[path.relative_to(installed).parts[0]] += path.stat().st_size
        return sizes

    def run(self, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs lines of Python in a folder."""
        return run(self.python, "-c", code, cwd=cwd)
