"""A real server on a free port, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import uvicorn
from websockets.asyncio.client import connect

from hubbub.auth.jwt import DEVELOPMENT_SECRET, mint_token
from hubbub.errors import ConfigurationError
from hubbub.server.server import Server
from hubbub.testing.client import PATIENCE, Client

#: Gives the headers with which a user opens a socket, and calls REST.
Credentials: TypeAlias = Callable[[str], Mapping[str, str]]


def bearer(key: str | bytes = DEVELOPMENT_SECRET) -> Credentials:
    """Makes the credentials that JWTAuthenticator takes: a token for the user, signed with ``key`` (HS256)."""
    return lambda user: {"Authorization": f"Bearer {mint_token(user, key=key)}"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a test server listens, and how its users say who they are.

    host, port: of the listening socket. credentials: gives the headers by which a user is known; None where nobody is.
    """

    host: str
    port: int
    credentials: Credentials | None = field(default=None, compare=False, repr=False)

    @property
    def http(self) -> str:
        """Gives the base of its REST addresses."""
        return f"http://{self.host}:{self.port}"

    @property
    def ws(self) -> str:
        """Gives the base of its WebSocket addresses."""
        return f"ws://{self.host}:{self.port}"

    def headers(self, user: str | None) -> dict[str, str]:
        """Gives the headers by which a user is known; none for nobody."""
        if user is None:
            return {}
        if self.credentials is None:
            raise ConfigurationError(
                "say how a user is known: serve(app, credentials=bearer(SECRET)), or any function that gives headers"
            )
        return dict(self.credentials(user))

    @contextlib.asynccontextmanager
    async def connect(
        self,
        user: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "/ws",
        patience: float = PATIENCE,
    ) -> AsyncIterator[Client]:
        """Opens a socket as ``user``, or as nobody, and waits until it is ready, or closed.

        headers: further ones, such as a cookie. patience: seconds that ``expect`` waits before it fails.

        Raises websockets' InvalidStatus where the upgrade is refused over HTTP.
        """
        sent = {**self.headers(user), **(headers or {})}
        async with connect(self.ws + path, additional_headers=sent, proxy=None) as socket:
            client = Client(socket, patience)
            await client.greet()
            yield client


@contextlib.asynccontextmanager
async def serve(app: Any, *, credentials: Credentials | None = None, **options: Any) -> AsyncIterator[Address]:
    """Serves an ASGI app as ``hubbub run`` does, in this event loop, on a free port of 127.0.0.1.

    credentials: how ``connect(user)`` says who it is; see ``bearer``.
    options: those of ``uvicorn.Config``, such as ``factory``, or ``ws``.
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
        server.should_exit = True
        await running


def server_fixture(app: Any, *, credentials: Credentials | None = None, **options: Any) -> Any:
    """Makes a pytest fixture out of ``serve`` with these arguments, for a conftest.py: every test gets its own server.

    It needs pytest-asyncio; without that it is an ordinary fixture, which the tests of anyio can use.
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
    """Tells when it is up, and leaves signals to whoever runs the tests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()
        self._window = 0.0

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    async def serve(self, sockets: Any = None) -> None:
        try:
            await super().serve(sockets)
        except SystemExit as error:  # it would end the event loop of the tests
            raise RuntimeError("the app did not start: see the log") from error

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
