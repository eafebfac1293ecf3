"""Several processes behind one port, as a supervisor runs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from hubbub.testing import Address
from tests.processes import HUBBUB, Running, command
from tests.support import Client
from tests.valkey import run_valkey

APP = """
import os
from fastapi import FastAPI
from hubbub import Gateway, Handshake, Identity, MessageNew, MessengerDomain, notify

def authenticate(handshake: Handshake) -> Identity | None:
    return Identity(handshake.header("authorization")) if handshake.header("authorization") else None

async def authorize(ctx, topics):
    return topics

gateway = Gateway(
    authenticate=authenticate, authorize=authorize, domains=[MessengerDomain()],
    redis_url=os.environ.get("HUBBUB_REDIS_URL"), redis_prefix=os.environ.get("PREFIX", "hubbub"),
)
app = FastAPI()
gateway.attach(app)

@app.get("/pid")
async def pid() -> int:
    return os.getpid()

@app.post("/messages/{id}")
async def post(id: str) -> None:
    notify(MessageNew("c1", id, "bob", "t"))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with run_valkey() as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


@contextlib.asynccontextmanager
async def workers(folder: Path, url: str, *arguments: str) -> AsyncIterator[Running]:
    """Run two workers, and read their log to its end so that they never block on it."""
    variables = {"HUBBUB_REDIS_URL": url, "PREFIX": secrets.token_hex(4)}
    run = (HUBBUB, "run", "main:app", "--port", "0", "--workers", "2", "--no-access-log", *arguments)
    async with command(folder, *run, **variables) as server:
        try:
            yield server
        finally:
            for number in (signal.SIGTERM, signal.SIGTERM):
                with contextlib.suppress(ProcessLookupError):
                    server.process.send_signal(number)
            await server.ended()  # the pipe is closed when the last process has ended


async def pids(address: Address, count: int = 2) -> set[int]:
    """Return the ids of the processes that answer, as soon as there are `count`: any of them may get a connection."""
    found: set[int] = set()
    async with asyncio.timeout(30):
        while len(found) < count:
            async with httpx.AsyncClient(timeout=30) as rest:
                found.add((await rest.get(address.http + "/pid")).json())
    return found


async def test_workers_share_a_port_and_are_one_bus(folder: Path, url: str) -> None:
    async with workers(folder, url) as server, contextlib.AsyncExitStack() as stack:
        assert len(await pids(server.address)) == 2
        sockets = [
            await stack.enter_async_context(Client.open(server.address, f"user{number}", "conversation:c1"))
            for number in range(10)
        ]
        async with httpx.AsyncClient(timeout=30) as rest:
            await rest.post(server.address.http + "/messages/m1")

        for socket in sockets:
            while (event := await socket.receive())["type"] != "server.messenger.message_new":
                pass
            assert event["data"]["messageId"] == "m1"


async def test_sigterm_drains_all_workers_and_exits_with_0(folder: Path, url: str) -> None:
    async with workers(folder, url, "--drain", "1") as server:
        await pids(server.address)
        async with Client.open(server.address, "alice") as alice, Client.open(server.address, "bob") as bob:
            server.process.send_signal(signal.SIGTERM)

            assert (await alice.closed())[0] == 1012
            assert (await bob.closed())[0] == 1012
        code, _ = await server.ended()

        assert code == 0
        assert "Traceback" not in server.log


async def test_a_second_signal_ends_all_workers_at_once(folder: Path, url: str) -> None:
    async with workers(folder, url, "--drain", "60") as server:
        await pids(server.address)
        async with Client.open(server.address, "alice") as alice:
            server.process.send_signal(signal.SIGTERM)
            await server.read_until("draining")
            server.process.send_signal(signal.SIGTERM)
            await alice.closed()
            code, seconds = await server.ended()

    assert code == 0
    assert seconds < 10


async def test_a_worker_that_dies_is_replaced(folder: Path, url: str) -> None:
    async with workers(folder, url) as server:
        first = await pids(server.address)
        os.kill(min(first), signal.SIGKILL)
        await server.read_until("starting another")

        assert len(await pids(server.address) - {min(first)}) == 2


async def test_workers_do_not_outlive_their_parent(folder: Path, url: str) -> None:
    async with workers(folder, url, "--drain", "0.1") as server:
        await pids(server.address)
        server.process.kill()
        await server.ended()  # the pipe is closed when the last process has ended


async def test_an_app_that_does_not_start_ends_all_workers(folder: Path, url: str) -> None:
    (folder / "main.py").write_text(
        APP + "\nfrom starlette.applications import Starlette\n"
        "async def fail(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
        "gateway.attach(fail)\n"
        "app = fail\n"
    )
    process = await asyncio.create_subprocess_exec(
        *(HUBBUB, "run", "main:app", "--port", "0", "--workers", "2"),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "HUBBUB_REDIS_URL": url},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1, output.decode()
    assert "did not start" in output.decode()


@pytest.mark.parametrize(("options", "reason"), [((), "HUBBUB_REDIS_URL"), (("--reload",), "--reload and --workers")])
async def test_several_workers_without_redis_are_refused_with_the_reason(
    folder: Path, options: tuple[str, ...], reason: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(HUBBUB, "run", "main:app", "--port", "0", "--workers", "2", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={name: value for name, value in os.environ.items() if name != "HUBBUB_REDIS_URL"},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 1
    assert reason in output.decode()
    assert "Traceback" not in output.decode()


async def test_one_worker_needs_no_redis(folder: Path) -> None:
    run = (HUBBUB, "run", "main:app", "--port", "0", "--workers", "1")
    async with command(folder, *run) as server:
        assert len(await pids(server.address, 1)) == 1
