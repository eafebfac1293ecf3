"""The messenger's settings: `HUBBUB_SECRET` and other environment variables."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hubbub import DEVELOPMENT_SECRET, ConfigurationError

MIN_SECRET_BYTES: Final = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as the hash
MIN_METRICS_TOKEN_BYTES: Final = 16


class Settings(BaseSettings):
    """The settings, from `HUBBUB_*` environment variables and from `.env`. A variable overrides the file."""

    model_config = SettingsConfigDict(env_prefix="HUBBUB_", env_file=".env", extra="ignore", frozen=True)

    environment: Literal["production", "development"] = "production"
    """`development` adds the demo users and accepts the public development secret."""

    secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """The key that signs tokens (HS256): at least 32 bytes, the same on every node."""

    database_url: str = "sqlite:///./hubbub.db"
    """SQLite for one machine, `postgresql://user:password@host/database` for many nodes."""

    session_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 12.0
    """How many hours a session lasts after the login or the latest renewal."""

    redis_url: str | None = None
    """Connects many nodes: `redis://host:6379`, in a Cluster any member. None for a single process."""

    away_minutes: Annotated[float, Field(gt=0)] = 5.0
    """After how many minutes without activity a user is away."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may use the cookie, separated by commas: `https://chat.example`. Empty: only its own."""

    secure_cookie: bool | None = None
    """Whether the cookie is sent over https only. None: if the login came over https, as far as trusted proxies say."""

    metrics_token: SecretStr | None = None
    """The bearer token that `/metrics` requires: at least 16 bytes. None: in development anyone can read the metrics,
    in production nobody can."""

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(origin.strip() for origin in value.split(",") if origin.strip())
        return value

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Settings:
        secret = self.secret.get_secret_value()
        if secret == DEVELOPMENT_SECRET and not self.is_development:
            raise ConfigurationError(
                "HUBBUB_SECRET is not set, and the development secret is public: "
                'set it to the output of `python -c "import secrets; print(secrets.token_urlsafe(48))"`, '
                "the same on every node, or set HUBBUB_ENVIRONMENT=development on your own machine"
            )
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"HUBBUB_SECRET has {len(secret.encode())} bytes and needs at least {MIN_SECRET_BYTES}: "
                'make one with `python -c "import secrets; print(secrets.token_urlsafe(48))"`'
            )
        return self

    @field_validator("metrics_token", mode="after")
    @classmethod
    def _refuse_short_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_METRICS_TOKEN_BYTES:
            raise ConfigurationError(
                f"HUBBUB_METRICS_TOKEN needs at least {MIN_METRICS_TOKEN_BYTES} bytes: "
                'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
            )
        return value

    @property
    def is_development(self) -> bool:
        """Return whether the messenger runs for development."""
        return self.environment == "development"

    @property
    def session_lifetime(self) -> timedelta:
        """Return how long a session lasts."""
        return timedelta(hours=self.session_hours)
