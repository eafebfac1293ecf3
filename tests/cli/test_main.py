"""The command line, as a person or a supervisor uses it, with real processes and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import httpx
import jwt
import pytest

from hubbub import DEVELOPMENT_SECRET
from tests.processes import HUBBUB, command
from tests.support import Client
from tests.websocket import RawSocket

APP = """
import asyncio
from fastapi import FastAPI
from hubbub import Gateway, Handshake, Identity

def authenticate(handshake: Handshake) -> Identity | None:
    return Identity(handshake.header("authorization")) if handshake.header("authorization") else None

gateway = Gateway(authenticate=authenticate)
app = FastAPI()
gateway.attach(app)

@app.get("/slow")
async def slow() -> str:
    print("slow started", flush=True)
    await asyncio.sleep(0.4)
    return "done"
"""


NEVER_STARTS = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    print("waits for the database", flush=True)
    try:
        await asyncio.Event().wait()
        yield
    finally:
        print("cleaned up", flush=True)

app = FastAPI(lifespan=lifespan)
"""


BLOCKS_DURING_START = """
import time
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    print("migrating", flush=True)
    time.sleep(1)
    yield
    print("shut down", flush=True)

app = FastAPI(lifespan=lifespan)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        (HUBBUB, "run", "main:app", "--port", "0"),
        (
            *(sys.executable, "-m", "uvicorn", "main:app", "--port", "0"),
            *("--ws", "hubbub:WebSocketProtocol"),
        ),
    ],
    ids=["hubbub run", "uvicorn --ws"],
)
async def test_an_app_is_served_with_its_websocket(folder: Path, arguments: tuple[str, ...]) -> None:
    async with command(folder, *arguments) as server, Client.open(server.address, "alice") as alice:
        assert await alice.heard() == []


async def test_plain_uvicorn_serves_it_too_and_recommends_the_faster_way_once(folder: Path) -> None:
    async with command(folder, sys.executable, "-m", "uvicorn", "main:app", "--port", "0") as server:
        for _ in range(2):
            async with Client.open(server.address, "alice") as alice:
                assert await alice.heard() == []
        server.process.send_signal(signal.SIGINT)
        await server.ended()

    assert server.log.count("hubbub run main:app") == 1


@pytest.mark.parametrize(("sig", "seconds"), [(signal.SIGINT, 1.0), (signal.SIGTERM, 10.0)])
async def test_a_signal_closes_sockets_with_1012_and_exits_with_0(
    folder: Path, sig: signal.Signals, seconds: float
) -> None:
    async with (
        command(folder, HUBBUB, "run", "main:app", "--port", "0") as server,
        Client.open(server.address, "alice") as alice,
    ):
        server.process.send_signal(sig)

        assert (await alice.closed())[0] == 1012
        code, took = await server.ended()
        assert code == 0
        assert took <= seconds
        assert "Traceback" not in server.log


async def test_sockets_that_do_not_answer_do_not_delay_ctrl_c(folder: Path) -> None:
    async with (
        command(folder, HUBBUB, "run", "main:app", "--port", "0") as server,
        RawSocket.open(server.address, "alice"),
        RawSocket.open(server.address, "bob"),
    ):
        server.process.send_signal(signal.SIGINT)

        code, took = await server.ended()
        assert code == 0
        assert took <= 5


async def test_requests_in_flight_finish_first(folder: Path) -> None:
    async with (
        command(folder, HUBBUB, "run", "main:app", "--port", "0") as server,
        httpx.AsyncClient() as rest,
    ):
        response = asyncio.create_task(rest.get(server.address.http + "/slow"))
        await server.read_until("slow started")
        server.process.send_signal(signal.SIGTERM)

        assert (await response).json() == "done"
        assert (await server.ended())[0] == 0


async def test_a_second_signal_stops_it_at_once(folder: Path) -> None:
    async with (
        command(folder, HUBBUB, "run", "main:app", "--port", "0") as server,
        RawSocket.open(server.address, "alice"),
        RawSocket.open(server.address, "bob"),
    ):
        server.process.send_signal(signal.SIGTERM)
        await server.read_until("draining 2 sockets within 10 s")
        server.process.send_signal(signal.SIGTERM)

        code, took = await server.ended()
        assert code == 0
        assert took <= 1


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
async def test_a_signal_stops_an_app_that_is_still_starting(
    tmp_path: Path, sig: signal.Signals, workers: tuple[str, ...]
) -> None:
    (tmp_path / "main.py").write_text(NEVER_STARTS)
    process = await asyncio.create_subprocess_exec(
        *(HUBBUB, "run", "main:app", "--port", "0", *workers), cwd=tmp_path, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdout is not None
    while b"waits for the database" not in (line := await process.stdout.readline()):
        assert line
    process.send_signal(sig)
    try:
        log = (await asyncio.wait_for(process.stdout.read(), 10)).decode()
    except TimeoutError:
        process.kill()
        raise

    assert await process.wait() == 0, log
    assert "cleaned up" in log
    assert "Traceback" not in log


async def test_an_app_that_has_started_is_shut_down_even_if_the_signal_came_before(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(BLOCKS_DURING_START)
    process = await asyncio.create_subprocess_exec(
        *(HUBBUB, "run", "main:app", "--port", "0"), cwd=tmp_path, stdout=PIPE, stderr=STDOUT
    )
    assert process.stdout is not None
    while b"migrating" not in (line := await process.stdout.readline()):
        assert line
    process.send_signal(signal.SIGTERM)
    log = (await asyncio.wait_for(process.stdout.read(), 10)).decode()

    assert await process.wait() == 0, log
    assert "shut down" in log
    assert "Traceback" not in log


async def test_the_demo_needs_no_configuration_and_stores_nothing(tmp_path: Path) -> None:
    async with (
        command(tmp_path, HUBBUB, "demo", "--port", "0", TMPDIR=str(tmp_path)) as server,
        httpx.AsyncClient() as rest,
    ):
        response = await rest.post(
            server.address.http + "/api/session", json={"username": "alice", "password": "alice"}
        )
        assert response.json()["userId"] == "alice"
        server.process.send_signal(signal.SIGINT)
        assert (await server.ended())[0] == 0
    assert os.listdir(tmp_path) == []


async def run_to_end(*arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        HUBBUB, *arguments, stdout=PIPE, stderr=STDOUT, cwd=cwd, env={**os.environ, **environment}
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_missing_app_is_an_error_with_its_name(folder: Path) -> None:
    code, output = await run_to_end("run", "nowhere:app", cwd=folder)

    assert code != 0
    assert "nowhere" in output
    assert "Traceback" not in output


async def test_token_prints_a_token_for_a_user() -> None:
    code, output = await run_to_end("token", "alice")

    claims = jwt.decode(output.strip(), DEVELOPMENT_SECRET, algorithms=["HS256"])
    assert code == 0
    assert claims["sub"] == "alice"
    assert claims["exp"] - claims["iat"] == 12 * 3600


async def test_token_signs_with_the_secret_of_the_environment() -> None:
    secret = "another secret, which is long enough for HS256"
    _, output = await run_to_end("token", "alice", "--hours", "1", HUBBUB_SECRET=secret)

    claims = jwt.decode(output.strip(), secret, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 3600


async def test_token_explains_what_is_wrong_with_a_secret() -> None:
    code, output = await run_to_end("token", "alice", "--secret", "short")

    assert code != 0
    assert "Traceback" not in output
    assert "32" in output


async def test_help_and_version() -> None:
    code, output = await run_to_end("--help")
    assert code == 0
    assert all(name in output for name in ("run", "token"))
    code, output = await run_to_end("--version")
    assert (code, output.split()[0]) == (0, "hubbub")
