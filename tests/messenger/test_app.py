from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hubbub import ConfigurationError
from hubbub_messenger.app import create_app

LOOK = "import hubbub_messenger.app as module; print('app' in vars(module), type(module.app).__name__)"


def run_python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_app_is_made_when_a_server_asks_for_it(tmp_path: Path) -> None:
    done = run_python(LOOK, tmp_path, HUBBUB_ENVIRONMENT="development")

    assert done.stdout.split() == ["False", "FastAPI"]
    assert list(tmp_path.iterdir()) == []  # creating it does not touch the database either


def test_a_production_app_without_a_secret_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("HUBBUB_SECRET", "HUBBUB_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(ConfigurationError, match="HUBBUB_SECRET is not set"):
        create_app()


def test_a_missing_attribute_raises_attribute_error() -> None:
    from hubbub_messenger import app

    with pytest.raises(AttributeError, match="has no attribute 'application'"):
        _ = app.application
