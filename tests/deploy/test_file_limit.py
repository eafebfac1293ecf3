"""`hubbub run` raises the limit on file descriptors, because every socket takes one."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.processes import HUBBUB, Running, command
from tests.websocket import RawSocket

APP = """
from hubbub import Gateway, Handshake, Identity, Limits

async def app(scope, receive, send):
    raise NotImplementedError

def authenticate(handshake: Handshake) -> Identity | None:
    return Identity(handshake.header("authorization"))

gateway = Gateway(authenticate=authenticate, limits=Limits(sockets_per_user=1000))
app = gateway.attach(app)
"""

SOFT, HARD = 100, 1000


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "main.py").write_text(APP)
    limited = f'ulimit -Sn {SOFT} && ulimit -Hn {HARD} && exec "$0" "$@"'
    async with command(tmp_path, "sh", "-c", limited, HUBBUB, "run", "main:app", "--port", "0") as server:
        yield server


async def test_the_soft_limit_is_raised_to_the_hard_one_and_logged(server: Running) -> None:
    assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (HARD, HARD)
    assert server.log.count(f"the limit on file descriptors was {SOFT}, and is now {HARD}") == 1


async def test_more_sockets_are_served_than_the_soft_limit_allowed(server: Running) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(SOFT + 20):
            await stack.enter_async_context(RawSocket.open(server.address, "alice"))
