"""The behaviour that `hubbub.testing` promises to an app's tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from websockets.exceptions import InvalidStatus

from hubbub import (
    ConfigurationError,
    Context,
    Gateway,
    JWTAuthenticator,
    MessageNew,
    MessageRead,
    MessengerDomain,
    PresenceUpdate,
    Topic,
    Typing,
    mint_token,
    notify,
)
from hubbub.testing import Address, ManualClock, bearer, pass_time, serve, server_fixture

ROOT = Path(__file__).parents[2]
SECRET = "a secret of at least thirty-two bytes"

clock = ManualClock()


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    return [topic for topic in topics if topic.id != "secret"]


def make_app() -> FastAPI:
    app = FastAPI()
    Gateway(
        authenticate=JWTAuthenticator(SECRET, algorithms=["HS256"]),
        authorize=authorize,
        domains=[MessengerDomain()],
        clock=clock,
    ).attach(app)

    @app.post("/messages/{id}")
    async def post(id: str) -> None:
        notify(message(id))

    return app


def message(id: str = "m1", conversation_id: str = "c1") -> MessageNew:
    return MessageNew(conversation_id, id, "alice", "2026-01-01T00:00:00Z")


server = server_fixture(make_app, factory=True, credentials=bearer(SECRET))


async def test_a_user_connects_subscribes_and_receives_the_signal_of_a_rest_write(server: Address) -> None:
    async with server.connect("bob") as bob, httpx.AsyncClient(base_url=server.http) as rest:
        assert bob.user_id == "bob"
        assert (await bob.subscribe("conversation:c1", Topic("conversation", "secret"))).refused == (
            Topic("conversation", "secret"),
        )

        await rest.post("/messages/m7", headers=server.headers("alice"))

        assert await bob.expect(MessageNew) == message("m7")


async def test_an_event_that_is_not_expected_yet_is_kept(server: Address) -> None:
    receipt = MessageRead("c1", "m1", "carol", "2026-01-01T00:00:00Z")
    async with server.connect("bob") as bob:
        await bob.subscribe("conversation:c1")
        for event in (message("m1"), receipt, message("m2"), message("m1")):
            notify(event)

        assert (await bob.expect(MessageNew, message_id="m2")).message_id == "m2"
        assert await bob.expect(MessageRead, reader_id="carol") == receipt
        await bob.expect(MessageNew, message_id="m1")
        await bob.expect(MessageNew, message_id="m1")
        await bob.expect_silence()


async def test_an_event_of_one_client_reaches_the_others(server: Address) -> None:
    async with server.connect("alice") as alice, server.connect("bob") as bob:
        for client in (alice, bob):
            await client.subscribe("conversation:c1")

        await alice.send(Typing("c1", "somebody else", True))

        assert (await bob.expect(Typing)).user_id == "alice"
        await alice.expect_silence(Typing)


async def test_expect_silence_fails_with_the_events_that_arrived(server: Address) -> None:
    async with server.connect("bob") as bob:
        await bob.subscribe("conversation:c1")
        notify(message())

        with pytest.raises(AssertionError, match=r"expected silence; received:\n.*server.messenger.message_new"):
            await bob.expect_silence()
        await bob.expect_silence(MessageRead, PresenceUpdate)
        with pytest.raises(AssertionError, match="expected silence"):
            await bob.expect_silence(MessageNew)
        await bob.expect(MessageNew)
        await bob.expect_silence()


async def test_an_event_that_does_not_arrive_fails_with_those_that_did(server: Address) -> None:
    async with server.connect("bob", patience=0.05) as bob:
        await bob.subscribe("conversation:c1")
        notify(message("m1"))

        expected = (
            r"no server\.messenger\.message_new with message_id='m2' within 0\.05 s; received:\n.*\"messageId\": \"m1\""
        )
        with pytest.raises(AssertionError, match=expected):
            await bob.expect(MessageNew, message_id="m2")
        with pytest.raises(AssertionError, match=r"no server\.messenger\.message_read within"):
            await bob.expect(MessageRead)
        with pytest.raises(AssertionError, match=r"still open after 0\.05 s"):
            await bob.expect_closed()


async def test_a_field_that_the_event_does_not_have_is_a_type_error(server: Address) -> None:
    async with server.connect("bob") as bob:
        with pytest.raises(TypeError, match="MessageNew has no field messageId"):
            await bob.expect(MessageNew, messageId="m1")


async def test_a_socket_without_a_credential_is_closed_with_a_code(server: Address) -> None:
    async with server.connect() as nobody:
        assert nobody.user_id is None
        assert await nobody.expect_closed(4401) == "unauthorized"
        with pytest.raises(AssertionError, match=r"closed with 4400, not with 4401 unauthorized"):
            await nobody.expect_closed(4400)
        expected = "before the socket was closed with 4401 unauthorized; received: nothing"
        with pytest.raises(AssertionError, match=expected):
            await nobody.expect(MessageNew)
        with pytest.raises(AssertionError, match="the socket was closed with 4401 unauthorized"):
            await nobody.expect_silence()


async def test_further_headers_are_sent(server: Address) -> None:
    with pytest.raises(InvalidStatus):
        async with server.connect("bob", headers={"Origin": "https://evil.example"}):
            pass
    async with server.connect(headers={"Authorization": f"Bearer {mint_token('carol', key=SECRET)}"}) as carol:
        assert carol.user_id == "carol"


async def test_moving_the_clock_makes_a_user_away(server: Address) -> None:
    async with server.connect("bob") as bob:
        await bob.subscribe("user:alice")
        async with server.connect("alice") as alice:
            clock.advance(1)
            await bob.expect(PresenceUpdate, user_id="alice", status="online")
            await pass_time(clock, 301, alice, bob)
            await bob.expect(PresenceUpdate, user_id="alice", status="away")


async def test_connecting_as_a_user_without_credentials_names_the_remedy() -> None:
    async with serve(make_app()) as server:
        with pytest.raises(ConfigurationError, match="credentials=bearer"):
            async with server.connect("alice"):
                pass


@pytest.mark.parametrize("ws", ["auto", "wsproto"])
async def test_it_works_on_uvicorns_own_websockets_too(ws: str) -> None:
    async with serve(make_app(), credentials=bearer(SECRET), ws=ws) as server, server.connect("bob") as bob:
        await bob.subscribe("conversation:c1")
        notify(message())
        await bob.expect(MessageNew)
        await bob.expect_silence()


def test_without_pytest_asyncio_it_is_a_plain_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest_asyncio", None)
    fixture: Any = server_fixture(make_app, factory=True)

    assert type(fixture).__name__ == "FixtureFunctionDefinition"


BLOCK = re.compile(r'^```python title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def test_the_tests_that_the_page_shows_pass(tmp_path: Path) -> None:
    for name, text in BLOCK.findall((ROOT / "docs" / "testing.md").read_text()):
        (tmp_path / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir=.",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "docs" / "examples"), "PYTHONDONTWRITEBYTECODE": "1"}

    tests = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    assert tests.returncode == 0, tests.stdout
    assert "4 passed" in tests.stdout
