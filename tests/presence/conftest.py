"""System fixtures for the presence tests, on memory and on Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.presence.nodes import System, memory_system, redis_system


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[System]:
    """Yield a system of nodes that share their presence over Redis."""
    async with redis_system(redis_url) as system:
        yield system


@pytest.fixture
async def system(store_url: str | None) -> AsyncIterator[System]:
    """Yield a system on each kind of store. With the memory store, all nodes are the same node."""
    async with memory_system() if store_url is None else redis_system(store_url) as system:
        yield system
