"""Fixtures and hooks for all tests."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from tests.valkey import run_cluster, run_valkey

FIGURES = pytest.StashKey[list[str]]()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every async test on uvloop, as production does."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that records a measured figure for the summary at the end of the run."""

    def record(figure: str) -> None:
        request.config.stash.setdefault(FIGURES, []).append(f"{request.node.name}: {figure}")

    return record


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the recorded figures."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """Yield the URL of a server that all tests share. Each test uses its own key prefix."""
    with run_valkey() as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[str]:
    """Yield the URL of one server of a Cluster that all tests share. Each test uses its own key prefix."""
    with run_cluster() as servers:
        yield f"redis://127.0.0.1:{servers[0].port}"


@pytest.fixture(params=["one server", "cluster"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of each kind of Redis in turn."""
    url: str = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    return url


@pytest.fixture(params=["memory", "one server", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of each kind of store in turn. None means the memory of one process."""
    if request.param == "memory":
        return None
    url: str = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    return url
