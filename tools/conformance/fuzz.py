"""Runs the Autobahn fuzzing client against Hubbub's transport: `make conformance`.

The client needs Python 2.7 (`PYTHON27=/path/to/python2.7` names one). It is installed into a folder beside this file,
which also gets the reports: open `reports/index.html` there.
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
REQUIREMENTS: Final = HERE / "requirements.txt"

sys.path.insert(0, str(HERE.parent.parent))
from tests.conformance.echo import serve_echo  # noqa: E402

#: Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing; and messages cut into chunks. Not run: limits
#: and performance (9), and compression (12, 13), which Hubbub does not negotiate.
GROUPS: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")

#: Outcomes that are no failure: the second judges nothing.
FINE: Final = frozenset({"OK", "INFORMATIONAL"})

#: Cases with another outcome that we know of, and the reason. "NON-STRICT" is what the RFC allows.
KNOWN: Final[dict[str, tuple[str, str]]] = {
    f"6.4.{number}": ("NON-STRICT", "UTF-8 is checked on the whole message, so 1007 comes at its end")
    for number in range(1, 5)
}

#: The client as a program. Python's own way to add a folder keeps Twisted's namespace packages in working order.
_CLIENT: Final = """
import site, sys
site.addsitedir(sys.argv.pop(1))
from autobahntestsuite.wstest import run
run()
"""


def main() -> int:
    """Gives the exit status: 0 where every case is fine, 1 where one is not, 2 where the client cannot run."""
    python = find_python()
    if python is None:
        print(
            "The Autobahn fuzzing client runs on Python 2.7 only, and there is none here.\n"
            "Install one (with pyenv: `pyenv install 2.7.18`), or name it: `make conformance PYTHON27=/path/to/it`."
        )
        return 2
    install(python)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    asyncio.run(fuzz(python))
    index = REPORTS / "index.json"
    if not index.exists():
        print("The fuzzing client ended without a report.")
        return 2
    return report(json.loads(index.read_text())["hubbub"])


def find_python() -> str | None:
    """Finds a Python 2.7 that runs: a shim of pyenv may stand in the path for one that is not switched on."""
    named = os.environ.get("PYTHON27")
    found = [named] if named else ["python2.7", "python2", *map(str, _pyenvs())]
    for candidate in found:
        code = "import sys; assert sys.version_info[:2] == (2, 7); import pip; print(sys.executable)"
        try:
            return subprocess.run([candidate, "-c", code], capture_output=True, check=True, text=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def _pyenvs() -> Iterable[Path]:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return sorted(root.glob("versions/2.7*/bin/python2.7"))


def install(python: str) -> None:
    """Brings the client into its folder, once for each list of requirements."""
    stamp = INSTALLED / "requirements.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    print("Installing the Autobahn fuzzing client for Python 2.7 ...", flush=True)
    shutil.rmtree(INSTALLED, ignore_errors=True)
    command = [python, "-W", "ignore", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(INSTALLED)]
    done = subprocess.run([*command, "-r", str(REQUIREMENTS)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    stamp.write_text(REQUIREMENTS.read_text())


async def fuzz(python: str) -> None:
    """Serves echoes, and lets the client ask them."""
    log = REPORTS / "client.log"
    async with serve_echo() as address:
        async with connect(f"{address.ws}/ws") as socket:  # where that fails, 247 reports of it help nobody
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
        with log.open("wb") as output:
            client = await asyncio.create_subprocess_exec(
                python, "-W", "ignore", "-c", _CLIENT, str(INSTALLED), *arguments, stdout=output, stderr=output
            )
            if await client.wait():
                print(log.read_text()[-2000:])


def report(cases: dict[str, dict[str, Any]]) -> int:
    """Prints how many cases came out how, and each one that is not simply OK; gives the exit status."""
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
        known, reason = KNOWN.get(name, ("", ""))
        if outcomes[name] not in (*FINE, known):
            failed.append(name)
        case = cases[name]
        closing = "" if case["behaviorClose"] == "OK" else f", closing: {case['behaviorClose']}"
        print(f"  {name:8} {case['behavior']}{closing}" + (f" ({reason})" if reason else ""))
    print(f"{len(cases)} cases, {len(failed)} failed. The reports: {os.path.relpath(REPORTS / 'index.html')}")
    return 1 if failed or not cases else 0


def outcome(case: dict[str, Any]) -> str:
    """Sums up what a case says of the messages and of the closing: the worse of the two."""
    behaviors = [case["behavior"], case["behaviorClose"]]
    for behavior in behaviors:
        if behavior not in FINE:
            return str(behavior)
    return str(next((behavior for behavior in behaviors if behavior != "OK"), "OK"))


if __name__ == "__main__":
    sys.exit(main())
