"""The Dockerfile: its commands run as written, but without Docker, which not every machine has."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import sys
import tomllib
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Any

import pytest

from hubbub.server.server import MIN_SHUTDOWN_SECONDS, TERMINATE_SECONDS
from hubbub_messenger.settings import Settings
from tests.processes import command
from tests.valkey import free_ports
from tests.websocket import RawSocket

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
STOP_SECONDS = TERMINATE_SECONDS + 2 * MIN_SHUTDOWN_SECONDS
"""The most seconds that a node needs to stop after SIGTERM."""


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with its arguments in one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    return every[max(index for index, (word, _) in enumerate(every) if word == "FROM") :]


def only(word: str) -> str:
    """Return the arguments of the only instruction of the last stage with this name."""
    (found,) = [arguments for one, arguments in last_stage() if one == word]
    return found


def runs() -> list[str]:
    """Return the command that the image runs, with the executable of this environment."""
    entry, arguments = json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))
    return [str(BIN / entry[0]), *entry[1:], *arguments]


def probes() -> list[str]:
    program, *arguments = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    assert program == "python"
    return [sys.executable, *arguments]


def environment(port: int) -> dict[str, str]:
    pairs = dict(re.findall(r"(\w+)=(\S+)", only("ENV")))
    pairs.pop("PATH")
    return {**pairs, "PORT": str(port), "HUBBUB_SECRET": secrets.token_hex(32)}


async def probe(port: int) -> int:
    process = await asyncio.create_subprocess_exec(*probes(), env={**os.environ, "PORT": str(port)}, stderr=PIPE)
    await process.communicate()
    assert process.returncode is not None
    return process.returncode


async def test_the_command_serves_passes_the_health_check_and_exits_with_0_on_sigterm(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    assert await probe(port) != 0
    here = ("--host", "127.0.0.1", "--drain", "0.2")  # of a repeated option, the last counts
    async with command(tmp_path, *runs(), *here, **environment(port)) as server:
        assert await probe(port) == 0
        async with RawSocket.open(server.address, "nobody") as socket:
            assert await socket.close_code() == 4401  # a node in production does not know this user
        server.process.send_signal(signal.SIGTERM)
        assert (await server.ended())[0] == 0
    assert "alice" not in server.log


def test_the_server_is_reached_from_outside_the_container() -> None:
    assert runs()[-2:] == ["--host", "0.0.0.0"]
    assert only("EXPOSE") == "8000"


async def test_without_a_secret_the_node_does_not_start(tmp_path: Path) -> None:
    variables = {key: value for key, value in environment(0).items() if key != "HUBBUB_SECRET"}
    process = await asyncio.create_subprocess_exec(
        *runs(), cwd=tmp_path, env={**os.environ, **variables}, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await process.communicate()

    assert process.returncode == 1
    assert b"HUBBUB_SECRET is not set" in output


def test_it_runs_as_a_numbered_user_who_is_not_root() -> None:
    user, group = only("USER").split(":")

    assert int(user) > 0
    assert int(group) > 0


def test_sigterm_reaches_the_server_itself() -> None:
    assert only("STOPSIGNAL") == "SIGTERM"
    for word in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(only(word)), list)  # a shell in between would not forward the signal


def test_no_secret_is_in_it() -> None:
    given = {name for word, rest in instructions() if word in ("ENV", "ARG") for name in re.findall(r"(\w+)=", rest)}
    secret = {f"HUBBUB_{name.upper()}" for name in Settings.model_fields if name != "environment"}

    assert given & secret == set()
    assert dict(re.findall(r"(\w+)=(\S+)", only("ENV")))["HUBBUB_ENVIRONMENT"] == "production"


def test_the_files_that_the_build_copies_exist_and_all_others_are_ignored() -> None:
    copied = {
        source.split("/")[0]
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert all((ROOT / name).exists() for name in copied)
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored


def test_the_extras_and_the_version_of_uv_are_those_of_the_project() -> None:
    project: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "Dockerfile").read_text()

    assert set(re.findall(r"--extra (\S+)", text)) <= set(project["project"]["optional-dependencies"])
    (uv,) = re.findall(r'pip install .*"uv([^"]+)"', text)
    assert f"uv_build{uv}" in project["build-system"]["requires"]


@pytest.mark.parametrize("name", ["compose.yaml", "deploy/hubbub@.service"])
def test_compose_and_systemd_wait_longer_than_a_drain(name: str) -> None:
    (seconds,) = re.findall(r"(?:stop_grace_period: |TimeoutStopSec=)(\d+)", (ROOT / name).read_text())

    assert int(seconds) > 2 * STOP_SECONDS
