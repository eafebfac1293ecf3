"""The messenger's application: `hubbub run hubbub_messenger.app:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, Depends, FastAPI
from pydantic.alias_generators import to_camel
from starlette.middleware import Middleware

from hubbub import OriginPolicy
from hubbub_messenger import problem_details
from hubbub_messenger.database import Database
from hubbub_messenger.demo_data import DEMO_USERS, add_demo_data
from hubbub_messenger.middleware import BodyLimitMiddleware, CookieFilterMiddleware
from hubbub_messenger.migrations import migrate
from hubbub_messenger.realtime import create_gateway
from hubbub_messenger.routes import conversations, health, messages, presence, session, users
from hubbub_messenger.routes.dependencies import require_json
from hubbub_messenger.security import dummy_hash
from hubbub_messenger.sessions import Sessions
from hubbub_messenger.settings import Settings
from hubbub_messenger.web_app import serve_web_app

MAX_BODY_BYTES: Final = 256 * 1024


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return a new application.

    Args:
        settings: what to configure it with; by default the environment.

    Raises:
        ConfigurationError: the settings cannot work.
    """
    settings = settings or Settings()
    database = Database(settings.database_url)
    sessions = Sessions(settings, database)
    gateway = create_gateway(settings, database, sessions)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await migrate(database)
            if settings.is_development:
                await add_demo_data(database)
            await asyncio.to_thread(dummy_hash)
            yield
        finally:
            await database.close()

    app = FastAPI(
        title="Hubbub messenger",
        version=version("hubbub"),
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: to_camel(route.name),
        middleware=[Middleware(BodyLimitMiddleware, max_bytes=MAX_BODY_BYTES), Middleware(CookieFilterMiddleware)],
    )
    app.state.settings = settings
    app.state.database = database
    app.state.sessions = sessions
    app.state.gateway = gateway
    app.state.metrics = health.create_registry(gateway)
    app.state.origins = OriginPolicy(settings.allowed_origins)
    problem_details.install(app)
    api = APIRouter(prefix="/api", dependencies=[Depends(require_json)])
    for module in (session, users, conversations, messages, presence):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(health.router)
    serve_web_app(app, demo_users=DEMO_USERS if settings.is_development else ())
    gateway.attach(app)
    return app


def __getattr__(name: str) -> Any:
    """Create `app` when a server first asks for it, so that importing this module does not read the environment."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = globals()["app"] = create_app()
    return app
