"""`pip install hubbub`, from the wheel and from the sdist, in an environment with nothing else in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from hubbub import DEVELOPMENT_SECRET
from hubbub.testing import bearer
from tests.packaging.conftest import Built
from tests.packaging.environments import Environment, succeed
from tests.processes import command

# No web framework: what is installed must be enough.
APP = """
from hubbub import DEVELOPMENT_SECRET, Gateway, JWTAuthenticator, MessageNew, MessengerDomain, notify

async def rest(scope, receive, send):
    assert scope["type"] == "http"  # it has no lifespan of its own
    notify(MessageNew("c1", "m1", "bob", "2030-01-01T00:00:00Z"))
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})

gateway = Gateway(
    authenticate=JWTAuthenticator(DEVELOPMENT_SECRET, algorithms=["HS256"]),
    authorize=lambda ctx, topics: topics,
    domains=[MessengerDomain()],
)
app = gateway.attach(rest)
"""

SUBSCRIBE = {
    "type": "client.system.subscribe",
    "data": {"topics": [{"kind": "conversation", "id": "c1"}]},
    "ts": 0,
}


@pytest.fixture(params=["wheel", "sdist"])
def installed(
    request: pytest.FixtureRequest, bare: Environment, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    if request.param == "wheel":
        return bare
    return Environment.make(tmp_path_factory.mktemp("sdist"), str(built.sdist))


async def test_a_client_receives_the_signal_of_an_app(installed: Environment, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)

    async with (
        command(tmp_path, installed.hubbub, "run", "main:app", "--port", "0") as server,
        connect(server.address.ws + "/ws", additional_headers=bearer(DEVELOPMENT_SECRET)("alice")) as socket,
    ):
        await socket.send(json.dumps(SUBSCRIBE))
        heard = [json.loads(await socket.recv())["type"] for _ in range(2)]
        reader, writer = await asyncio.open_connection(server.address.host, server.address.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 204")
        writer.close()
        signal = json.loads(await socket.recv())

    assert heard == ["server.system.ready", "server.system.subscribed"]
    assert (signal["type"], signal["data"]["messageId"]) == ("server.messenger.message_new", "m1")


def test_the_command_and_the_metadata_have_the_same_version(bare: Environment, tmp_path: Path) -> None:
    assert succeed(bare.hubbub, "--version", cwd=tmp_path) == f"hubbub {version('hubbub')}\n"
    code = "from importlib.metadata import version; print(version('hubbub'))"
    assert bare.run(code, tmp_path).stdout == f"{version('hubbub')}\n"


def test_every_module_but_those_behind_an_extra_can_be_imported(bare: Environment, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, hubbub
for module in pkgutil.walk_packages(hubbub.__path__, "hubbub."):
    try:
        importlib.import_module(module.name)
    except hubbub.ConfigurationError as error:
        assert "pip install 'hubbub[" in str(error), (module.name, error)
    except ModuleNotFoundError as error:  # the module that imports these has named the extra
        of_redis = ("hubbub.brokers.redis.", "hubbub.presence.redis.", "hubbub.redis.")
        assert module.name.startswith(of_redis) and error.name == "redis", module.name
"""
    ended = bare.run(code, tmp_path)

    assert ended.returncode == 0, ended.stdout


def test_the_installation_is_small(bare: Environment, messenger: Environment, tell: Callable[[str], None]) -> None:
    for name, environment, max_megabytes in (("hubbub", bare, 40), ("hubbub[messenger]", messenger, 110)):
        sizes, packages = environment.sizes(), environment.packages()
        largest = ", ".join(f"{folder} {size / 1e6:.1f}" for folder, size in sizes.most_common(4))
        tell(f"{name}: {sizes.total() / 1e6:.1f} MB (the largest: {largest}) in {len(packages)} packages")
        tell(f"{name} brings {', '.join(packages)}")
        assert sizes.total() < max_megabytes * 1e6
