"""What `pip install 'hubbub[...]'` adds, and the error if an extra is missing."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.packaging.conftest import Built
from tests.packaging.environments import Environment, run
from tests.processes import command

MAKE = "from hubbub import *; make = lambda **settings: Gateway(authenticate=lambda handshake: None, **settings)\n"


async def test_the_demo_serves_page_rest_and_socket_with_no_node_and_no_configuration(
    messenger: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    variables = {"PATH": str(messenger.bin), "HOME": str(folder), "TMPDIR": str(tmp_path)}

    async with (
        command(folder, messenger.hubbub, "demo", "--port", "0", **variables) as server,
        httpx.AsyncClient(base_url=server.address.http) as browser,
    ):
        page = await browser.get("/")
        assert '<div id="root">' in page.text
        script = page.text.partition('src="')[2].partition('"')[0]
        assert (await browser.get(script)).headers["content-type"].startswith("text/javascript")

        session = (await browser.post("/api/session", json={"username": "alice", "password": "alice"})).json()
        conversations = (await browser.get("/api/conversations")).json()
        assert conversations

        topic = {"kind": "conversation", "id": conversations[0]["id"]}
        headers = {"Cookie": f"hubbub_session={session['token']}", "Origin": server.address.http}
        async with connect(server.address.ws + "/ws", additional_headers=headers) as socket:
            await socket.send(json.dumps({"type": "client.system.subscribe", "data": {"topics": [topic]}, "ts": 0}))
            message = {"body": "hello"}
            await browser.post(f"/api/conversations/{topic['id']}/messages", json=message)
            heard = [json.loads(await socket.recv())["type"] for _ in range(3)]

    assert heard[:2] == ["server.system.ready", "server.system.subscribed"]
    assert list(folder.iterdir()) == []


def test_redis_and_metrics_are_extras_of_their_own(built: Built, tmp_path: Path) -> None:
    environment = Environment.make(tmp_path / "extras", f"{built.wheel}[redis,metrics]")
    code = MAKE + "gateway = make(redis_url='redis://127.0.0.1'); GatewayCollector(gateway); print(gateway.is_shared)"

    assert environment.run(code, tmp_path).stdout == "True\n"


@pytest.mark.parametrize(
    ("code", "extra"),
    [
        ("make(redis_url='redis://127.0.0.1')", "redis"),
        ("Publisher('redis://127.0.0.1')", "redis"),
        ("GatewayCollector(make())", "metrics"),
        ("JWTAuthenticator(jwks_url='https://issuer.example/jwks', algorithms=['RS256'])", "crypto"),
        ("import hubbub_messenger.app", "messenger"),
    ],
)
def test_an_error_names_the_missing_extra(bare: Environment, tmp_path: Path, code: str, extra: str) -> None:
    ended = bare.run(MAKE + code, tmp_path)

    assert ended.returncode == 1
    assert "ConfigurationError" in ended.stdout
    assert f"pip install 'hubbub[{extra}]'" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("demo", "--port", "0"), "messenger"),
        (("run", "hubbub_messenger.app:app"), "messenger"),
        (("publish", "server.messenger.conversations_changed", "{}", "--user", "alice"), "redis"),
    ],
)
def test_a_command_that_needs_an_extra_names_it_in_one_line(
    bare: Environment, tmp_path: Path, arguments: tuple[str, ...], extra: str
) -> None:
    ended = run(bare.hubbub, *arguments, cwd=tmp_path, HUBBUB_REDIS_URL="redis://127.0.0.1:1")

    assert ended.returncode == 1
    assert ended.stdout.startswith("Error: ")
    assert ended.stdout.endswith(f"pip install 'hubbub[{extra}]'\n")
    assert ended.stdout.count("\n") == 1
