"""`--help` explains every option, its examples work as written, and the Tab key completes options."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from hubbub.cli.main import app
from tests.processes import HUBBUB

SHELLS = ("bash", "zsh", "fish")
WIDTH = 80


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield a command and all its subcommands, each with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


COMMANDS = dict(commands(get_command(app)))
each_command = pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(("hubbub", *path)))


def shown_examples(path: tuple[str, ...]) -> list[str]:
    """Return the command lines at the end of a command's help, as a terminal shows them."""
    _, _, tail = help_of(*path).partition("\n Examples:\n")
    return [line.strip() for line in tail.splitlines() if line.strip() and not line.startswith(" #")]


@functools.cache
def help_of(*path: str) -> str:
    """Return the help in a terminal of 80 columns."""
    output = hubbub(*path, "--help", COLUMNS=str(WIDTH))
    return "\n".join(line.rstrip() for line in output.splitlines())


def hubbub(*arguments: str, **variables: str) -> str:
    run = subprocess.run([HUBBUB, *arguments], capture_output=True, text=True, env={**os.environ, **variables})
    assert run.returncode == 0, run.stderr
    return run.stdout


@each_command
def test_every_command_and_option_is_explained(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]

    unexplained = [parameter.name for parameter in command.params if not (parameter.help or "").endswith((".", ")"))]
    assert unexplained == []
    assert command.help


@each_command
def test_no_option_is_truncated_in_a_terminal_of_80_columns(path: tuple[str, ...]) -> None:
    text = help_of(*path)

    options = [option for parameter in COMMANDS[path].params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if not re.search(rf"{option}\b", text)] == []
    assert "…" not in text


@each_command
def test_the_examples_of_a_command_are_valid(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_REDIS_URL", "redis://127.0.0.1:6379")
    lines = shown_examples(path)

    assert any(line.startswith(" ".join(("hubbub", *path))) for line in lines)
    for line in lines:
        nested = re.search(r"\$\((hubbub .*?)\)", line)  # its environment variables come from another program
        words = shlex.split(nested[1] if nested else line)[1:]
        if words not in (["COMMAND", "--help"], ["--install-completion"]):
            called = max((known for known in COMMANDS if tuple(words[: len(known)]) == known), key=len)
            COMMANDS[called].make_context("hubbub", words[len(called) :]).close()


def test_brackets_are_shown_as_they_are() -> None:
    assert "pip install 'hubbub[messenger]'" in help_of("demo")
    assert "pip install 'hubbub[redis]'" in help_of("publish")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completion_of_a_shell_is_shown_in_that_shell(shell: str, tmp_path: Path) -> None:
    # Typer detects the shell by the name of the process, so this runs bash or sh under each shell's name.
    program = tmp_path / shell
    program.symlink_to(shutil.which("bash") or "/bin/sh")

    script = subprocess.run(
        [program, "-c", f"{HUBBUB} --show-completion; :"], capture_output=True, text=True, check=True
    ).stdout

    assert f"complete_{shell}" in script
    assert {"bash": "complete -o", "zsh": "#compdef hubbub", "fish": "complete --command hubbub"}[shell] in script


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hubbub ", ["run", "demo", "token", "publish", "contract"]),
        ("hubbub contract ", ["export", "check"]),
        ("hubbub run --work", ["--workers"]),
        ("hubbub contract export main:app --format ty", ["typescript"]),
    ],
)
def test_the_tab_key_completes_commands_options_and_values(shell: str, line: str, expected: list[str]) -> None:
    request = {"bash": {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}}.get(
        shell, {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    )

    answer = completion(f"complete_{shell}", **request)

    offered = re.findall(r'(?:^|\(\()"([^"]+)"' if shell == "zsh" else r"^(\S+)", answer, re.MULTILINE)
    assert offered == expected


def test_bash_itself_completes(tmp_path: Path) -> None:
    (tmp_path / "hubbub.sh").write_text(completion("source_bash"))
    program = """
source hubbub.sh
COMP_WORDS=(hubbub tok) COMP_CWORD=1
_hubbub_completion hubbub tok hubbub
echo "${COMPREPLY[@]}"
"""
    path = f"{Path(HUBBUB).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )

    assert run.stdout.split() == ["token"], run.stderr


def completion(instruction: str, **variables: str) -> str:
    """Return the command's response to a completion request of a shell."""
    environment = {**os.environ, "_HUBBUB_COMPLETE": instruction, **variables}
    return subprocess.run([HUBBUB], capture_output=True, text=True, env=environment).stdout
