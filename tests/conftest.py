"""What all tests share."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest
import uvloop

from tests.valkey import run_cluster, run_valkey

FIGURES = pytest.StashKey[list[str]]()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Runs every async test on the loop that production runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Keeps a figure that a test has measured, for the summary at the end of the run."""

    def keep(figure: str) -> None:
        request.config.stash.setdefault(FIGURES, []).append(f"{request.node.name}: {figure}")

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows what was measured."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("measured")
        for figure in figures:
            terminalreporter.line(figure)


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """Gives the URL of a server that tests share: each has a prefix of its own there."""
    with run_valkey() as server:
        yield f"redis://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[str]:
    """Gives the URL of a member of a Cluster that tests share likewise."""
    with run_cluster() as servers:
        yield f"redis://127.0.0.1:{servers[0].port}"


@pytest.fixture(params=["one server", "cluster"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Gives each kind of Redis in turn."""
    url: str = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    return url


@pytest.fixture(params=["memory", "one server", "cluster"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Gives everything that can be shared through, in turn: None is the memory of one process."""
    if request.param == "memory":
        return None
    url: str = request.getfixturevalue("valkey" if request.param == "one server" else "valkey_cluster")
    return url
