"""Install the peers' packages from lock files into folders that git ignores: `python -m benchmarks.install`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.process import HERE

PEERS: Final = HERE / "peers"
NODE_MODULES: Final = PEERS / "node_modules"
ENVIRONMENT: Final = PEERS / ".venv"
STAMP: Final = ".installed"


def install() -> dict[str, str]:
    """Install what is missing; return the reason, by name, for each part that could not be installed."""
    missing = {}
    for name, lock, target, installer in (
        ("Node", PEERS / "package-lock.json", NODE_MODULES, _install_node),
        ("Python", PEERS / "requirements.txt", ENVIRONMENT, _install_python),
    ):
        stamp = target / STAMP
        if stamp.exists() and stamp.stat().st_mtime > lock.stat().st_mtime:
            continue
        print(f"Installing the peers on {name} into {target.relative_to(HERE.parent)} ...", flush=True)
        failure = installer()
        if failure:
            missing[name] = failure
        else:
            stamp.touch()
    if not missing.get("Node") and not (NODE_MODULES / "better-sqlite3" / "build" / "Release").exists():
        missing["better-sqlite3"] = "it did not compile: the servers on Node use SQLite in WebAssembly instead"
    return missing


def _install_node() -> str:
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "no node and npm on the PATH"
    failure = _run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if not failure:
        # Node's only good SQLite has to be compiled, which takes two minutes, once.
        _run("npm", "rebuild", "better-sqlite3", "--foreground-scripts")
    return failure


def _install_python() -> str:
    uv = shutil.which("uv") or HERE.parent / ".uv" / "bin" / "uv"
    python = str(ENVIRONMENT / "bin" / "python")
    return _run(str(uv), "venv", "--clear", "--python", sys.executable, str(ENVIRONMENT)) or _run(
        str(uv), "pip", "sync", "--python", python, "--require-hashes", "requirements.txt"
    )


def _run(*command: str) -> str:
    """Run a command in the peers' folder; return the end of its output if it failed, else nothing."""
    try:
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    output: str = (done.stdout + done.stderr)[-500:]
    return output or f"exit status {done.returncode}" if done.returncode else ""


def installed_version(package: str, folder: Path = NODE_MODULES) -> str:
    """Return the version of an installed npm package."""
    manifest = json.loads((folder / package / "package.json").read_text())
    return str(manifest["version"])


def python_versions(*packages: str) -> str:
    """Return the versions of Python and of packages in the peers' environment, as one line."""
    code = (
        "import sys; from importlib.metadata import version as of; "
        "print('Python', sys.version.split()[0], *[f', {name} {of(name)}' for name in sys.argv[1:]])"
    )
    command = [str(ENVIRONMENT / "bin" / "python"), "-c", code, *packages]
    output: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return output.strip().replace(" ,", ",")


if __name__ == "__main__":
    for part, reason in install().items():
        print(f"{part}: {reason}", file=sys.stderr)
