"""The programs that these tests run: tsc, `@asyncapi/parser`, the guards, mypy. None is ever skipped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / "tools" / "contract"
TSC: Final = TOOLS / "node_modules" / ".bin" / "tsc"

COMPILER_OPTIONS: Final = {
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "exactOptionalPropertyTypes": True,
    "noImplicitOverride": True,
    "noImplicitReturns": True,
    "noFallthroughCasesInSwitch": True,
    "isolatedModules": True,
    "verbatimModuleSyntax": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "types": [],
    "rootDir": ".",
}
"""Stricter than --strict, so that the file suits whatever options a user has."""


def node() -> str:
    """Return the path of Node, after checking that `npm ci` was run."""
    found = shutil.which("node")
    if found is None or not TSC.exists():
        raise RuntimeError(f"Node 20 and its packages are missing: `make test` brings them, or `npm ci` in {TOOLS}")
    return found


def tsc(folder: Path, sources: Mapping[str, str], *, emit: bool = False) -> list[str]:
    """Compile sources, by file name, in a folder; return the errors."""
    node()
    options = {**COMPILER_OPTIONS, "noEmit": not emit, "noUnusedLocals": not emit}
    config = {"compilerOptions": options, "include": ["*.ts", "*.mts"]}
    (folder / "tsconfig.json").write_text(json.dumps(config))
    for name, text in sources.items():
        (folder / name).write_text(text)
    run = subprocess.run([TSC, "--project", folder, "--pretty", "false"], capture_output=True, text=True, cwd=folder)
    assert not run.stderr, run.stderr
    return run.stdout.splitlines()


def asyncapi_diagnostics(*files: Path) -> list[list[Any]]:
    """Return the diagnostics of `@asyncapi/parser` for each file."""
    command: list[str | Path] = [node(), TOOLS / "asyncapi.mjs", *files]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=TOOLS)
    return [json.loads(line) for line in run.stdout.splitlines()]


class Guards:
    """The guards of one contract, running in Node."""

    def __init__(self, folder: Path, contracts: str) -> None:
        assert tsc(folder, {"contracts.mts": contracts}, emit=True) == []
        self._process = subprocess.Popen(
            [node(), TOOLS / "guards.mjs", folder / "contracts.mjs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def accept(self, guard: str, text: str) -> bool:
        """Return whether a guard accepts a document (JSON on one line)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{guard} {text}\n")
        answer = self._process.stdout.readline()
        assert answer in ("true\n", "false\n"), f"the guards ended: {answer!r}"
        return answer == "true\n"

    def close(self) -> None:
        """Stop Node."""
        self._process.communicate()


def mypy(*files: Path) -> list[tuple[str, int, str]]:
    """Return the errors of `mypy --strict` as (file name, line, error code)."""
    options = ["--no-error-summary", "--hide-error-context", "--no-pretty"]
    command: list[str | Path] = [sys.executable, "-m", "mypy", *options, *files]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = re.findall(r"^(\S+?):(\d+): error: .*\[([a-z-]+)\]$", run.stdout, re.MULTILINE)
    assert bool(found) == bool(run.returncode), run.stdout + run.stderr
    return [(Path(file).name, int(line), code) for file, line, code in found]
