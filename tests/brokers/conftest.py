"""Servers that the tests of brokers share; every test has a prefix of its own on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.brokers.nodes import MakeNode, memory_nodes, redis_nodes
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
async def node_on_redis(request: pytest.FixtureRequest) -> AsyncIterator[MakeNode]:
    url = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    async with redis_nodes(url) as make:
        yield make


@pytest.fixture(params=["memory", "one server", "cluster"])
async def node(request: pytest.FixtureRequest) -> AsyncIterator[MakeNode]:
    if request.param == "memory":
        async with memory_nodes() as make:
            yield make
        return
    url = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    async with redis_nodes(url) as make:
        yield make
