"""A real server on a free port, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import uvicorn
from websockets.asyncio.client import connect

from hubbub.auth.jwt import DEVELOPMENT_SECRET, mint_token
from hubbub.errors import ConfigurationError
from hubbub.server.server import Server
from hubbub.testing.client import DEFAULT_PATIENCE, Client

Credentials: TypeAlias = Callable[[str], Mapping[str, str]]
"""A function that returns the headers with which a user opens a socket and calls REST."""


def bearer(key: str | bytes = DEVELOPMENT_SECRET) -> Credentials:
    """Return credentials for an app with JWTAuthenticator: a bearer token for the user.

    Args:
        key: The shared secret that signs the token, with HS256.
    """
    return lambda user: {"Authorization": f"Bearer {mint_token(user, key=key)}"}


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a test server.

    Attributes:
        host: The IP address that the server listens on.
        port: The port that it listens on.
        credentials: Returns the headers that identify a user. None if the test passes headers itself.
    """

    host: str
    port: int
    credentials: Credentials | None = field(default=None, compare=False, repr=False)

    @property
    def http(self) -> str:
        """Return the base URL for REST."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws(self) -> str:
        """Return the base URL for WebSockets."""
        return f"ws://{self.host}:{self.port}"

    def headers(self, user: str | None) -> dict[str, str]:
        """Return the headers that identify a user.

        Args:
            user: The user's id. None for a request without credentials.

        Raises:
            ConfigurationError: If the server was started without credentials.
        """
        if user is None:
            return {}
        if self.credentials is None:
            raise ConfigurationError(
                "this server has no credentials: use serve(app, credentials=bearer(SECRET)), "
                "or any function that returns headers"
            )
        return dict(self.credentials(user))

    @contextlib.asynccontextmanager
    async def connect(
        self,
        user: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "/ws",
        patience: float = DEFAULT_PATIENCE,
    ) -> AsyncIterator[Client]:
        """Open a socket, wait until it is ready or closed, and close it at the end of the block.

        Args:
            user: The user to connect as. None for no credentials.
            headers: More headers, such as a cookie.
            path: The path of the WebSocket endpoint.
            patience: Seconds that the client waits for what it expects. The default is 5.

        Raises:
            websockets.exceptions.InvalidStatus: If the upgrade is refused over HTTP.
        """
        all_headers = {**self.headers(user), **(headers or {})}
        async with connect(self.ws + path, additional_headers=all_headers, proxy=None) as socket:
            client = Client(socket, patience)
            await client.greet()
            yield client


@contextlib.asynccontextmanager
async def serve(app: Any, *, credentials: Credentials | None = None, **options: Any) -> AsyncIterator[Address]:
    """Serve an ASGI app as `hubbub run` does, in this event loop, on a free port, until the end of the block.

    Args:
        app: The ASGI app. With `factory=True`, a function that makes it.
        credentials: How `connect(user)` identifies the user. See `bearer`.
        options: Options of `uvicorn.Config`, such as `factory` or `ws`.

    Raises:
        RuntimeError: If the app does not start.
    """
    settings: dict[str, Any] = {
        "ws": "hubbub:WebSocketProtocol",
        "lifespan": "on",
        "log_config": None,
        **options,
    }
    server = _TestServer(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
    running = asyncio.create_task(server.serve())
    up = asyncio.create_task(server.is_up.wait())
    await asyncio.wait([running, up], return_when=asyncio.FIRST_COMPLETED)
    up.cancel()
    try:
        if running.done():
            await running
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield Address(host, port, credentials)
    finally:
        server.stop()
        await running


def server_fixture(app: Any, *, credentials: Credentials | None = None, **options: Any) -> Any:
    """Return a pytest fixture that runs `serve` with these arguments. Every test gets its own server.

    It needs pytest-asyncio. Without that, it is a plain async fixture, which works with anyio's pytest plugin.

    Args:
        app: See `serve`.
        credentials: See `serve`.
        options: See `serve`.
    """

    async def server() -> AsyncIterator[Address]:
        async with serve(app, credentials=credentials, **options) as address:
            yield address

    with contextlib.suppress(ImportError):
        import pytest_asyncio

        return pytest_asyncio.fixture(server)
    import pytest

    return pytest.fixture(server)


class _TestServer(Server):
    """A server that signals when it is up, and does not handle signals: the test runner does."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config, terminate_seconds=0.0)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    def stop(self) -> None:
        """Shut down as after SIGTERM, with a drain of 0 seconds."""
        if not self.should_exit:
            self.handle_exit(signal.SIGTERM, None)

    async def serve(self, sockets: Any = None) -> None:
        try:
            await super().serve(sockets)
        except SystemExit as error:  # this would end the event loop of the tests
            raise RuntimeError("the app did not start: see the log") from error

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
