"""Clean virtual environments, made by uv."""

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

# The versions of the lock file, so that a new release of a dependency does not change the results.
_EXPORT: Final = ("export", "--frozen", "--all-extras", "--no-dev", "--no-emit-project", "--no-hashes", "--quiet")


def uv() -> str:
    """Return the path of uv, found as the Makefile does: on the PATH, or where `make` has installed it."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if found is None:
        raise RuntimeError("uv is missing: `make test` brings it, or `pip install uv`")
    return found


def run(*command: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, outside any virtual environment. Its stdout includes stderr."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return subprocess.run(
        command, cwd=cwd, env=inherited | variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def succeed(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Run a program that must exit with 0, and return its output."""
    ended = run(*command, cwd=cwd, **variables)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *requirements: str) -> Environment:
        """Make an environment in a folder with this Python, and install requirements into it."""
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
        """Return the names of the installed packages, sorted."""
        listed = json.loads(succeed(uv(), "pip", "list", "--quiet", "--python", self.python, "--format", "json"))
        return sorted(package["name"] for package in listed)

    def sizes(self) -> Counter[str]:
        """Return the bytes of the installed files, by folder, without compiled ones."""
        sizes: Counter[str] = Counter()
        (installed,) = self.folder.glob("lib/*/site-packages")
        for path in installed.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                sizes[path.relative_to(installed).parts[0]] += path.stat().st_size
        return sizes

    def run(self, code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run Python code in a folder."""
        return run(self.python, "-c", code, cwd=cwd)
