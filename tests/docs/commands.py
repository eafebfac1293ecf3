"""Check the command lines that a page shows: commands and their options, make's targets, Python's modules."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer.main

from hubbub.cli.main import app
from tests.docs.pages import ROOT

# Words that may precede a command on its line.
_PREFIXES = {"!", "do", "else", "exec", "if", "sudo", "then", "until", "while"}

_SEPARATORS = {"|", "||", "&&", "&", ";", "(", ")"}
_PLACEHOLDER = re.compile(r"\[.*\](\.\.\.)?$|\{.*\}$|COMMAND$")  # as in a synopsis
_ASSIGNMENT = re.compile(r"\w+=")
_NESTED = re.compile(r"\$\(([^()]*)\)")


class UnknownCommand(Exception):
    """A command line cannot work as written."""


def check(script: str) -> None:
    """Raise UnknownCommand if a script is not valid shell, or has an unknown command, option, target or module."""
    parsed = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    if parsed.returncode or parsed.stderr:
        raise UnknownCommand(parsed.stderr)
    for arguments in _commands(script.replace("\\\n", " ")):
        _check(arguments)


def console_commands(text: str) -> str:
    """Return the commands typed in a console: the lines that start with a dollar sign."""
    return "\n".join(line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ "))


def _commands(script: str) -> Iterator[list[str]]:
    for nested in _NESTED.findall(script):
        yield from _commands(nested)
    for line in _NESTED.sub("nested", script).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for token in [*lexer, ";"]:
            if token in _SEPARATORS:
                if command:
                    yield command
                command = []
            elif command or not _ASSIGNMENT.match(token):
                command.append(token)


def _check(arguments: list[str]) -> None:
    name, rest = arguments[0].rpartition("/")[2], arguments[1:]
    if name in _PREFIXES:
        if rest:
            _check(rest)
    elif name == "hubbub":
        _check_hubbub(rest)
    elif name == "make":
        wrong = [word for word in rest if not _ASSIGNMENT.match(word) and word not in _targets()]
        if wrong:
            raise UnknownCommand(f"make has no target {wrong[0]}")
    for command, option, module in zip(arguments, arguments[1:], arguments[2:], strict=False):
        if command.startswith("python") and option == "-m" and importlib.util.find_spec(module) is None:
            raise UnknownCommand(f"no module {module}")


def _check_hubbub(arguments: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context = command.make_context("hubbub", [], resilient_parsing=True)
    while True:
        try:
            context.resilient_parsing = False  # a missing argument does not matter here, an unknown one does
            words = [word for word in arguments if not _PLACEHOLDER.match(word)]
            _, rest, _ = command.make_parser(context).parse_args(words)
        except Exception as error:
            raise UnknownCommand(f"hubbub {' '.join(arguments)}: {error}") from error
        if not hasattr(command, "commands"):
            if rest:
                raise UnknownCommand(f"hubbub takes no {rest}")
            return
        if not rest:
            return  # `hubbub --version`
        if rest[0] not in command.commands:
            raise UnknownCommand(f"hubbub has no command {rest[0]}")
        command, arguments = command.commands[rest[0]], rest[1:]
        context = command.make_context(rest[0], [], parent=context, resilient_parsing=True)


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
