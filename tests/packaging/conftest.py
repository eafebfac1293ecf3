"""The packages built once for all packaging tests, and the environments that tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hubbub_messenger.web_app import STATIC
from tests.contract.programs import ROOT
from tests.packaging.environments import Environment, succeed, uv


@dataclass(frozen=True)
class Built:
    """The files that `make build` writes into dist/."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Wheel and sdist, built as `make build` does; the wheel is made from the sdist."""
    if not (STATIC / "index.html").exists():
        pytest.exit("the web app is not built: run `make build`, or `npm ci && npm run build` in the folder web", 2)
    folder = tmp_path_factory.mktemp("dist")
    succeed(uv(), "build", "--quiet", "--out-dir", folder, ROOT)
    return Built(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="session")
def bare(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install hubbub`, and nothing else."""
    return Environment.make(tmp_path_factory.mktemp("bare"), str(built.wheel))


@pytest.fixture(scope="session")
def messenger(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install 'hubbub[messenger]'`."""
    return Environment.make(tmp_path_factory.mktemp("messenger"), f"{built.wheel}[messenger]")
