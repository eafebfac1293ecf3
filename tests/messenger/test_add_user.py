from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx

from tests.processes import HUBBUB, command

SECRET = "a secret of the test's own, long enough"


async def add(folder: Path, password: str, *arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hubbub_messenger.add_user", *arguments),
        cwd=folder,
        env={**os.environ, "HUBBUB_SECRET": SECRET},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate(password.encode())
    return process.returncode, output.decode()


async def test_an_added_user_can_log_in_in_production(tmp_path: Path) -> None:
    assert await add(tmp_path, "a long password\n", "erin", "Erin Gray") == (0, "")

    run = (HUBBUB, "run", "hubbub_messenger.app:app", "--port", "0")
    async with (
        command(tmp_path, *run, HUBBUB_SECRET=SECRET) as server,
        httpx.AsyncClient(base_url=server.address.http) as rest,
    ):
        login = {"username": "erin", "password": "a long password"}
        token = (await rest.post("/api/session", json=login)).json()["token"]
        me = (await rest.get("/api/me", headers={"Authorization": f"Bearer {token}"})).json()
        assert (me["username"], me["displayName"]) == ("erin", "Erin Gray")


async def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    await add(tmp_path, "one\n", "erin")

    assert await add(tmp_path, "two\n", "erin") == (1, "the username erin is taken\n")


async def test_without_a_password_no_user_is_added(tmp_path: Path) -> None:
    code, output = await add(tmp_path, "\n", "erin")

    assert code == 1
    assert "password" in output
