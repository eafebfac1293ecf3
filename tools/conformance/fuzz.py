"""Run the Autobahn fuzzing client against Hubbub's transport: `make conformance`.

The client needs Python 2.7 (`PYTHON27=/path/to/python2.7` names one). It is installed into `build/` beside this file.
The reports are written there as well: open `build/reports/index.html`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect

HERE: Final = Path(__file__).resolve().parent
INSTALLED: Final = HERE / "build" / "python2.7"
REPORTS: Final = HERE / "build" / "reports"
LOG: Final = REPORTS / "client.log"
REQUIREMENTS: Final = HERE / "requirements.txt"

sys.path.insert(0, str(HERE.parent.parent))
from tests.conformance.echo import serve_echo  # noqa: E402

GROUPS: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
"""Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, and messages in chunks. Not run: limits and
performance (9), and compression (12, 13), which Hubbub does not negotiate."""

PASSED: Final = frozenset({"OK", "INFORMATIONAL"})
"""Outcomes that are not failures. INFORMATIONAL is for cases without a correct result."""

EXPECTED: Final[dict[str, tuple[str, str]]] = {
    f"6.4.{number}": ("NON-STRICT", "UTF-8 is checked on the whole message, so 1007 comes at its end")
    for number in range(1, 5)
}
"""Cases with another expected outcome, and the reason. The RFC allows what is "NON-STRICT"."""

# The client's main program. `site.addsitedir` also loads the .pth files that Twisted's namespace packages need.
_CLIENT: Final = """
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run
run()
"""


def main() -> int:
    """Run the client; return the exit status: 0 if every case passed, 1 if one failed, 2 if the client cannot run."""
    python = find_python()
    if python is None:
        print(
            "The Autobahn fuzzing client needs Python 2.7, and none was found.\n"
            "Install it (with pyenv: `pyenv install 2.7.18`), or name it: `make conformance PYTHON27=/path/to/it`."
        )
        return 2
    install(python)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    asyncio.run(fuzz(python))
    index = REPORTS / "index.json"
    if not index.exists():
        print(f"The fuzzing client wrote no report: see {os.path.relpath(LOG)}.")
        return 2
    return report(json.loads(index.read_text())["hubbub"])


def find_python() -> str | None:
    """Return a Python 2.7 that works, or None: a pyenv shim on the PATH may have no version behind it."""
    named = os.environ.get("PYTHON27")
    for candidate in [named] if named else ["python2.7", "python2", *map(str, _pyenv_interpreters())]:
        code = "import sys; assert sys.version_info[:2] == (2, 7); import pip; print(sys.executable)"
        try:
            return subprocess.run([candidate, "-c", code], capture_output=True, check=True, text=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def _pyenv_interpreters() -> Iterable[Path]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(root.glob("versions/2.7*/bin/python2.7"))


def install(python: str) -> None:
    """Install the client, unless these requirements are already installed."""
    stamp = INSTALLED / "requirements.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    print("Installing the Autobahn fuzzing client for Python 2.7 ...", flush=True)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    command = [python, "-W", "ignore", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(INSTALLED)]
    result = subprocess.run([*command, "-r", str(REQUIREMENTS)], capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(result.stdout + result.stderr)
    stamp.write_text(REQUIREMENTS.read_text())


async def fuzz(python: str) -> None:
    """Run the client against an echo server."""
    async with serve_echo() as address:
        async with connect(f"{address.ws}/ws") as socket:  # if this fails, all 247 cases would fail
            await socket.send("Hello!")
            assert await asyncio.wait_for(socket.recv(), 10) == "Hello!"
        specification = {
            "outdir": str(REPORTS),
            "servers": [{"agent": "hubbub", "url": f"{address.ws}/ws"}],
            "cases": list(GROUPS),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (REPORTS / "specification.json").write_text(json.dumps(specification))
        arguments = ["-m", "fuzzingclient", "-s", str(REPORTS / "specification.json")]
        with LOG.open("wb") as output:
            client = await asyncio.create_subprocess_exec(
                python, "-W", "ignore", "-c", _CLIENT, str(INSTALLED), *arguments, stdout=output, stderr=output
            )
            if await client.wait():
                print(LOG.read_text()[-2000:])


def report(cases: dict[str, dict[str, Any]]) -> int:
    """Print the outcomes by group and each case that is not simply OK; return the exit status."""
    groups = sorted({name.partition(".")[0] for name in cases}, key=int)
    outcomes = {name: outcome(case) for name, case in cases.items()}
    columns = sorted(set(outcomes.values()), key=lambda word: (word != "OK", word))
    width = max(map(len, columns)) + 2
    print(f"{'group':8}" + "".join(f"{column:>{width}}" for column in columns))
    for group in [*groups, "all"]:
        counts = Counter(outcomes[name] for name in cases if group in ("all", name.partition(".")[0]))
        print(f"{group:8}" + "".join(f"{counts[column]:>{width}}" for column in columns))
    failed = []
    for name in sorted(cases, key=lambda name: [int(part) for part in name.split(".")]):
        if outcomes[name] == "OK":
            continue
        expected, reason = EXPECTED.get(name, ("", ""))
        if outcomes[name] not in (*PASSED, expected):
            failed.append(name)
        case = cases[name]
        closing = "" if case["behaviorClose"] == "OK" else f", closing: {case['behaviorClose']}"
        print(f"  {name:8} {case['behavior']}{closing}" + (f" ({reason})" if reason else ""))
    print(f"{len(cases)} cases, {len(failed)} failed. The reports: {os.path.relpath(REPORTS / 'index.html')}")
    return 1 if failed or not cases else 0


def outcome(case: dict[str, Any]) -> str:
    """Return the worse of the two outcomes of a case: of its messages and of its closing handshake."""
    behaviors = [case["behavior"], case["behaviorClose"]]
    for behavior in behaviors:
        if behavior not in PASSED:
            return str(behavior)
    return str(next((behavior for behavior in behaviors if behavior != "OK"), "OK"))


if __name__ == "__main__":
    sys.exit(main())
