from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from hubbub import ConfigurationError
from hubbub_messenger.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HUBBUB_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_production_refuses_the_public_development_secret() -> None:
    with pytest.raises(ConfigurationError, match=r"set it to the output of .*token_urlsafe"):
        Settings()


def test_development_needs_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_ENVIRONMENT", "development")

    assert Settings().is_development


def test_production_accepts_its_own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", "s" * 32)

    settings = Settings()

    assert settings.secret.get_secret_value() == "s" * 32
    assert not settings.is_development
    assert settings.session_lifetime == timedelta(hours=12)


@pytest.mark.parametrize("environment", ["production", "development"])
def test_a_short_secret_is_refused_everywhere(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    monkeypatch.setenv("HUBBUB_ENVIRONMENT", environment)
    monkeypatch.setenv("HUBBUB_SECRET", "s" * 31)

    with pytest.raises(ConfigurationError, match="has 31 bytes and needs at least 32"):
        Settings()


def test_the_secret_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_SECRET", "s" * 32)

    assert "s" * 32 not in repr(Settings())


def test_a_dotenv_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUBBUB_ENVIRONMENT=development\nHUBBUB_SESSION_HOURS=1\nOTHER=ignored\n")
    monkeypatch.setenv("HUBBUB_SESSION_HOURS", "2")

    assert (Settings().environment, Settings().session_hours) == ("development", 2)


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_ENVIRONMENT", "development")
    monkeypatch.setenv("HUBBUB_ALLOWED_ORIGINS", "https://a.example, https://b.example,")

    assert Settings().allowed_origins == ("https://a.example", "https://b.example")


def test_an_unknown_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBBUB_ENVIRONMENT", "staging")

    with pytest.raises(ValidationError):
        Settings()
