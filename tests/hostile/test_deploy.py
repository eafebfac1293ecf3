"""A deploy: the node stops and closes its sockets one after another, each with its own delay to reconnect."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from hubbub import mint_token
from hubbub.connections.drain import SPREAD
from tests.processes import HUBBUB, command
from tests.websocket import CLOSE, RawSocket

ROOT = Path(__file__).parents[2]
SOCKETS = 200


async def closing(raw: RawSocket) -> tuple[float, bytes]:
    """Wait for the close frame; return when it came, and its payload."""
    while True:
        opcode, payload = await raw.next_frame()
        if opcode == CLOSE:
            return time.monotonic(), payload


async def test_a_stopping_node_is_unready_at_once_and_spreads_its_closes(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    drain = 3.0
    arguments = ("run", "tests.hostile.app:app", "--app-dir", str(ROOT), "--port", "0", "--drain", str(drain))
    async with (
        command(tmp_path, HUBBUB, *arguments) as server,
        httpx.AsyncClient(base_url=server.address.http) as probe,
        AsyncExitStack() as stack,
    ):
        assert (await probe.get("/readyz")).json() is True
        sockets = []
        for number in range(SOCKETS):
            bearer = f"Authorization: Bearer {mint_token(f'user{number}')}"
            sockets.append(await stack.enter_async_context(RawSocket.upgraded(server.address, bearer)))

        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        ending = asyncio.gather(*map(closing, sockets))
        await server.read_until("draining")

        assert (await probe.get("/readyz")).json() is False  # over the existing connection of the probe
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(base_url=server.address.http).get("/readyz")
        closes = sorted(await ending)
        assert (await server.ended())[0] == 0

    times = [at - began for at, _ in closes]
    reasons = [payload[2:].decode() for _, payload in closes]
    assert {int.from_bytes(payload[:2]) for _, payload in closes} == {1012}
    assert all(re.fullmatch(r"restart; retry_after_ms=\d{1,3}", reason) for reason in reasons)
    assert len(set(reasons)) > SOCKETS / 2  # each has its own delay
    longest_pause = max(later - earlier for earlier, later in pairwise(times))
    tell(f"{SOCKETS} sockets closed from {times[0]:.2f} s to {times[-1]:.2f} s, longest pause {longest_pause:.2f} s")
    assert times[-1] <= drain
    quarters = [0] * 4
    for at in times:
        quarters[min(3, int((at - times[0]) / (drain * SPREAD) * 4))] += 1
    assert all(SOCKETS * 0.15 <= count <= SOCKETS * 0.35 for count in quarters), quarters
