"""Servers in separate processes, as a person or a supervisor runs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from pathlib import Path

from hubbub.testing import Address

HUBBUB = str(Path(sys.executable).parent / "hubbub")


class Running:
    """A server in a separate process."""

    def __init__(self, process: Process, address: Address) -> None:
        self.process = process
        self.address = address
        self.log = ""

    async def read_until(self, text: str) -> str:
        assert self.process.stdout is not None
        while text not in self.log:
            line = await self.process.stdout.readline()
            assert line, self.log
            self.log += line.decode()
        return self.log

    async def ended(self) -> tuple[int, float]:
        """Wait until the process ends. Return its exit code and the seconds that took."""
        began = time.monotonic()
        assert self.process.stdout is not None
        self.log += (await self.process.stdout.read()).decode()
        return await self.process.wait(), time.monotonic() - began


@contextlib.asynccontextmanager
async def command(
    folder: Path, *arguments: str, up: str = "running on http://", **variables: str
) -> AsyncIterator[Running]:
    """Run a server command in `folder` until the end of the block.

    Args:
        folder: Its working directory.
        arguments: The command.
        up: The text that it logs before its address when it accepts connections.
        variables: More environment variables.

    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=folder, stdout=PIPE, stderr=STDOUT, env=environment, start_new_session=True
    )
    try:
        running = Running(process, Address("", 0))
        log = await running.read_until(up)
        port = re.search(r"127\.0\.0\.1:(\d+)", log)
        assert port is not None
        running.address = Address("127.0.0.1", int(port[1]))
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers, if it has any
        await process.wait()
