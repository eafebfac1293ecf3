"""Node fixtures for the broker tests, on memory and on Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.brokers.nodes import MakeNode, memory_nodes, redis_nodes


@pytest.fixture
async def node_on_redis(redis_url: str) -> AsyncIterator[MakeNode]:
    async with redis_nodes(redis_url) as make:
        yield make


@pytest.fixture
async def node(store_url: str | None) -> AsyncIterator[MakeNode]:
    async with memory_nodes() if store_url is None else redis_nodes(store_url) as make:
        yield make
