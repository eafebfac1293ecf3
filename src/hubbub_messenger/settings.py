"""What the environment may say about the messenger: ``HUBBUB_SECRET`` and its siblings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hubbub import DEVELOPMENT_SECRET, ConfigurationError

MIN_SECRET_BYTES: Final = 32  # RFC 7518 section 3.2: an HS256 key is at least as long as the hash
MIN_METRICS_TOKEN_BYTES: Final = 16


class Settings(BaseSettings):
    """The settings, read from ``HUBBUB_*`` variables and from ``.env``; a variable wins over the file."""

    model_config = SettingsConfigDict(env_prefix="HUBBUB_", env_file=".env", extra="ignore", frozen=True)

    environment: Literal["production", "development"] = "production"
    """``development`` seeds the demo users and accepts the secret that everybody knows."""

    secret: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    """Signs the tokens (HS256): at least 32 bytes, the same on every node."""

    database_url: str = "sqlite:///./hubbub.db"
    """SQLite for one machine, ``postgresql://user:password@host/database`` for many."""

    session_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 12.0
    """Hours that a session lasts after the login or its latest renewal."""

    redis_url: str | None = None
    """Where many nodes meet: ``redis://host:6379``, of a Cluster any member. None for a single process."""

    away_minutes: Annotated[float, Field(gt=0)] = 5.0
    """Minutes without activity after which a user is shown as away."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins, separated by commas, that may use cookies besides the server's own: ``https://chat.example``."""

    secure_cookie: bool | None = None
    """Whether the cookie is sent over https only. None: as the request came, which needs a proxy's headers trusted."""

    metrics_token: SecretStr | None = None
    """What a scraper of ``/metrics`` sends as its bearer token: at least 16 bytes. None: in development anybody may
    read them, in production there are none, whatever stands in front of the node."""

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
                "the same on every node, or set HUBBUB_ENVIRONMENT=development on a machine of your own"
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
        """Tells whether this is somebody's own machine."""
        return self.environment == "development"

    @property
    def session_lifetime(self) -> timedelta:
        """Gives how long a token is valid."""
        return timedelta(hours=self.session_hours)
