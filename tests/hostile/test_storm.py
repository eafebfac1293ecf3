"""All clients lose their connection at once and reconnect, with the real client and its real backoff."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from hubbub import mint_token
from tests.processes import HUBBUB, command
from tests.support import Client, Json

ROOT = Path(__file__).parents[2]
WATCHED = 400
"""Users whose presence is watched: fewer than the topic limit of one socket."""

GRACE_SECONDS = 2.5
"""A user who is back by then is never announced offline: that takes 3 s without a socket, measured by the server."""


class Crowd:
    """Many real clients in a Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, url: str, users: list[str], folder: Path) -> AsyncIterator[Crowd]:
        node = shutil.which("node")
        assert node is not None, "these tests need Node 20 or newer"
        tokens = folder / "tokens.json"
        tokens.write_text(json.dumps({user: mint_token(user) for user in users}))
        program = str(ROOT / "tests/hostile/storm.mjs")
        process = await asyncio.create_subprocess_exec(
            node, program, url, str(tokens), stdin=PIPE, stdout=PIPE, limit=2**20
        )
        try:
            yield cls(process)
        finally:
            process.kill()
            await process.wait()

    async def status(self) -> Json:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"status\n")
        status: Json = json.loads(await self.process.stdout.readline())
        return status

    async def until(self, holds: Callable[[Json], bool], seconds: float) -> Json:
        """Poll until a condition holds; return the last status."""
        async with asyncio.timeout(seconds):
            while not holds(status := await self.status()):
                await asyncio.sleep(0.05)
        return status


@pytest.mark.parametrize("count", [500, pytest.param(5_000, marks=pytest.mark.soak)])
async def test_all_clients_reconnect_within_thirty_seconds_and_fast_ones_never_appear_offline(
    count: int, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    users = [f"user{number}" for number in range(count)]
    watched = users[:WATCHED]
    arguments = (HUBBUB, "run", "tests.hostile.app:app", "--app-dir", str(ROOT), "--port", "0", "--no-access-log")
    async with (
        command(tmp_path, *arguments) as server,
        Crowd.of(f"{server.address.ws}/ws", users, tmp_path) as crowd,
        httpx.AsyncClient() as rest,
        connect(
            f"{server.address.ws}/ws",
            additional_headers={"Authorization": f"Bearer {mint_token('watcher')}"},
            ping_interval=None,
        ) as socket,
    ):
        logging = asyncio.create_task(server.ended())
        await crowd.until(lambda status: status["ready"] == count, 60)
        watcher = Client(socket)
        await watcher.request_topics(*(f"user:{user}" for user in watched))
        while (await watcher.receive())["type"] != "server.system.subscribed":
            pass

        assert (await rest.post(f"{server.address.http}/cut", params={"keep": "watcher"})).json() == count
        began = time.monotonic()
        status = await crowd.until(lambda status: len(status["downtimes"]) == status["ready"] == count, 30)
        took = time.monotonic() - began

        assert set(status["statuses"]) <= {"503"}
        assert set(status["codes"]) <= {"1006", "1013"}
        await asyncio.sleep(4)  # until all offline updates are sent: 3 s of grace, and a tick
        heard = [event["data"] for event in await watcher.heard() if event["type"] == "server.presence.update"]
        flapped = {update["userId"] for update in heard if update["status"] != "online"}
        quick = {user for user in watched if status["downtimes"][user] < GRACE_SECONDS}
        assert flapped & quick == set()
        assert len(quick) > 0
        tell(
            f"{count} clients back within {took:.1f} s, the slowest after {max(status['downtimes'].values()):.1f} s; "
            f"refused in between: {status['statuses']}; {len(flapped)} of {len(watched)} watched were seen to leave"
        )
        assert not logging.done(), server.log
        logging.cancel()
