"""Systems that the tests of presence share, on whatever keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.presence.nodes import System, memory_system, redis_system


@pytest.fixture
async def nodes(redis_url: str) -> AsyncIterator[System]:
    """A system of nodes that share their presence."""
    async with redis_system(redis_url) as system:
        yield system


@pytest.fixture
async def system(store_url: str | None) -> AsyncIterator[System]:
    """A system with whatever store; where it is memory, all its nodes are one."""
    async with memory_system() if store_url is None else redis_system(store_url) as system:
        yield system
