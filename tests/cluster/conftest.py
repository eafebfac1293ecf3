"""One system of three nodes for all tests in this folder. It is restored before each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cluster.nodes import Nodes
from tests.valkey import run_valkey


@pytest.fixture(scope="session")
def valkey_port() -> Iterator[int]:
    with run_valkey() as server:
        assert server.port is not None
        yield server.port


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running(
    request: pytest.FixtureRequest, valkey_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Nodes]:
    folder: Path = tmp_path_factory.mktemp("nodes")
    is_soak = request.config.getoption("-m") == "soak"  # soak tests use the intervals of production
    async with Nodes.on(folder, valkey_port, HUBBUB_TEST_QUICK="" if is_soak else "1") as nodes:
        yield nodes


@pytest_asyncio.fixture(loop_scope="package")
async def nodes(running: Nodes) -> AsyncIterator[Nodes]:
    await running.restore()
    yield running
