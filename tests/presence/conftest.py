"""Servers that the tests of presence share; every test has a prefix of its own on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.presence.nodes import System, memory_system, redis_system
from tests.valkey import run_cluster, run_valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    with run_valkey() as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[str]:
    with run_cluster() as servers:
        yield f"redis://127.0.0.1:{servers[0].port}"


@pytest.fixture(params=["one server", "cluster"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """A system of nodes that share their presence."""
    url = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    async with redis_system(url) as system:
        yield system


@pytest.fixture(params=["memory", "one server", "cluster"])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """A system with whatever store; where it is memory, all its nodes are one."""
    if request.param == "memory":
        async with memory_system() as made:
            yield made
        return
    url = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    async with redis_system(url) as made:
        yield made
