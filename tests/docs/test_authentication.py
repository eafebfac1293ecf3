"""`docs/authentication.md`: every recipe runs as written, and accepts exactly the users it describes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from jwt.algorithms import RSAAlgorithm
from websockets.exceptions import InvalidStatus

from hubbub import Gateway, Topic, mint_token, notify
from hubbub.contract.events import Subscribed
from hubbub.testing import Address, serve
from tests.contract.programs import tsc
from tests.docs.pages import ROOT, block, blocks

PAGE = "docs/authentication.md"
KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a file of the page, as in `recipe("cookie_app")`. The current folder has all files of the page."""
    names = [each.title.removesuffix(".py") for each in blocks(PAGE) if each.language == "python"]
    for name in names:
        (tmp_path / f"{name}.py").write_text(block(PAGE, f"{name}.py"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


@contextlib.asynccontextmanager
async def served(module: ModuleType) -> AsyncIterator[tuple[Address, httpx.AsyncClient]]:
    async with serve(module.app) as server, httpx.AsyncClient(base_url=server.http) as rest:
        yield server, rest


async def sign_in(server: Address, rest: httpx.AsyncClient, user: str) -> dict[str, str]:
    """Sign in, and return the headers that a browser sends from then on."""
    response = await rest.post("/session", json={"user": user})
    cookie = response.headers["set-cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))
    return {"Cookie": cookie.split(";")[0], "Origin": server.http}


async def test_a_jwt_in_a_cookie_is_accepted_and_a_logout_ends_only_that_session(
    recipe: Callable[[str], ModuleType],
) -> None:
    async with served(recipe("cookie_app")) as (server, rest):
        here, elsewhere = await sign_in(server, rest, "alice"), await sign_in(server, rest, "alice")
        async with server.connect(headers=here) as phone, server.connect(headers=elsewhere) as laptop:
            assert (phone.user_id, laptop.user_id) == ("alice", "alice")

            assert (await rest.delete("/session", headers=here)).status_code == 204

            await phone.expect_closed(4403)
            await laptop.catch_up()


async def test_the_python_client_prints_what_it_receives(
    recipe: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, client, heard = recipe("cookie_app"), recipe("listen"), asyncio.Queue[str]()
    monkeypatch.setattr(client, "print", lambda kind, data: heard.put_nowait(kind), raising=False)

    async def wait_for(type: str) -> None:
        while await heard.get() != type:
            pass

    async with served(module) as (server, _):
        listening = asyncio.create_task(client.listen(f"{server.ws}/ws", mint_token("a", key=module.SECRET), "b1"))
        await wait_for("server.system.subscribed")
        notify(sys.modules["board"].NoteAdded("b1"))
        await wait_for("server.notes.added")

        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


@pytest.fixture
def jwks_url() -> Iterator[str]:
    """The URL where an issuer publishes the public half of KEY."""
    document = json.dumps({"keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1"}]}).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("wrong", "is_accepted"),
    [({}, True), ({"aud": "another"}, False), ({"iss": "https://evil.example/"}, False), ({"exp": 1}, False)],
)
async def test_an_issuers_token_is_checked_with_its_published_keys(
    recipe: Callable[[str], ModuleType],
    jwks_url: str,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, Any],
    is_accepted: bool,
) -> None:
    monkeypatch.setenv("JWKS_URL", jwks_url)
    claims = {"sub": "alice", "iss": "https://login.example/", "aud": "board", "exp": time.time() + 60, "sid": "s"}
    token = jwt.encode({**claims, **wrong}, KEY, "RS256", {"kid": "k1"})

    async with (
        served(recipe("jwks_app")) as (server, _),
        server.connect(headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        if is_accepted:
            assert client.user_id == "alice"
        else:
            assert await client.expect_closed(4401) == "unauthorized"


@pytest.fixture
def table_app(recipe: Callable[[str], ModuleType]) -> ModuleType:
    with contextlib.closing(sqlite3.connect("board.db")) as database:
        database.execute("CREATE TABLE sessions (key TEXT PRIMARY KEY, user TEXT, expires_at REAL)")
        database.execute("CREATE TABLE members (board TEXT, user TEXT)")
        database.executemany("INSERT INTO members VALUES (?, ?)", [("b1", "alice"), ("b2", "alice"), ("b1", "bob")])
        database.commit()
    return recipe("table_app")


async def test_a_session_of_the_table_is_accepted_and_members_receive_events(table_app: ModuleType) -> None:
    NoteAdded: Any = sys.modules["board"].NoteAdded  # noqa: N806 - a class
    async with served(table_app) as (server, rest):
        alice, bob = await sign_in(server, rest, "alice"), await sign_in(server, rest, "bob")
        async with server.connect(headers=alice) as first, server.connect(headers=bob) as second:
            assert (await first.subscribe("board:b1", "board:b2", "board:b3")).refused == (Topic("board", "b3"),)
            assert (await second.subscribe("board:b1", "board:b2")).topics == (Topic("board", "b1"),)

            assert (await rest.post("/boards/b2/notes", headers=alice)).status_code == 201
            assert (await rest.post("/boards/b2/notes", headers=bob)).status_code == 403

            assert (await first.expect(NoteAdded)).board_id == "b2"
            await second.expect_silence(NoteAdded)


async def test_many_topics_are_one_query(table_app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    connect = table_app.aiosqlite.connect

    def counted(name: str) -> Any:
        opened.append(name)
        return connect(name)

    async with (
        served(table_app) as (server, rest),
        server.connect(headers=await sign_in(server, rest, "alice")) as alice,
    ):
        monkeypatch.setattr(table_app.aiosqlite, "connect", counted)
        await alice.subscribe(*(f"board:b{number}" for number in range(50)))

    assert len(opened) == 1


async def test_a_session_that_has_expired_or_is_unknown_is_refused(table_app: ModuleType) -> None:
    async with served(table_app) as (server, rest):
        headers = await sign_in(server, rest, "alice")
        with contextlib.closing(sqlite3.connect("board.db")) as database:
            database.execute("UPDATE sessions SET expires_at = 1")
            database.commit()
        for cookie in (headers, {**headers, "Cookie": "session=another"}, {**headers, "Cookie": "other=1"}):
            async with server.connect(headers=cookie) as client:
                assert await client.expect_closed(4401) == "unauthorized"


async def test_a_logout_ends_the_session_and_leaving_ends_the_subscription(table_app: ModuleType) -> None:
    async with served(table_app) as (server, rest):
        headers = await sign_in(server, rest, "alice")
        async with server.connect(headers=headers) as alice:
            await alice.subscribe("board:b1", "board:b2")

            assert (await rest.delete("/boards/b1/members/me", headers=headers)).status_code == 204
            left = await alice.expect(Subscribed)
            assert (left.topics, left.refused) == ((Topic("board", "b2"),), (Topic("board", "b1"),))
            assert (await alice.subscribe("board:b1")).topics == ()

            assert (await rest.delete("/session", headers=headers)).status_code == 204
            await alice.expect_closed(4403)
        async with server.connect(headers=headers) as again:
            await again.expect_closed(4401)


async def test_hubbubs_topic_kinds_are_authorised_by_relation(recipe: Callable[[str], ModuleType]) -> None:
    asked = [Topic("user", "bob"), Topic("user", "carol"), Topic("conversation", "c1"), Topic("conversation", "c2")]

    assert await recipe("kinds").authorize(SimpleNamespace(user_id="alice"), asked) == [asked[0], asked[2]]


async def test_only_pages_of_the_listed_origins_are_allowed(recipe: Callable[[str], ModuleType]) -> None:
    gateway: Gateway = recipe("origins").gateway

    async with serve(gateway.attach(FastAPI())) as server:
        for origin in ("https://app.example", "https://admin.app.example:8443"):
            async with server.connect(headers={"Origin": origin}) as page:
                await page.expect_closed(4401)  # not 403: the origin is allowed, and a token is missing
        with pytest.raises(InvalidStatus, match="403"):
            async with server.connect(headers={"Origin": server.http}):
                pass


async def test_a_page_of_another_site_gets_403(recipe: Callable[[str], ModuleType]) -> None:
    async with served(recipe("cookie_app")) as (server, rest):
        headers = await sign_in(server, rest, "alice")
        with pytest.raises(InvalidStatus, match="403"):
            async with server.connect(headers={**headers, "Origin": "https://evil.example"}):
                pass


async def test_the_test_of_the_page_passes(recipe: Callable[[str], ModuleType]) -> None:
    await recipe("test_board").test_a_note_is_heard()


def test_the_typescript_compiles(tmp_path: Path) -> None:
    client = tmp_path / "node_modules" / "@hubbub" / "client"
    client.parent.mkdir(parents=True)
    client.symlink_to(ROOT / "web" / "client")

    errors = tsc(tmp_path, {"client.ts": block(PAGE, "client.ts")})

    assert errors == []


def test_every_block_of_the_page_has_a_test() -> None:
    python = [each.title for each in blocks(PAGE) if each.language == "python"]
    source = Path(__file__).read_text()

    assert [title for title in python if f'"{title.removesuffix(".py")}"' not in source] == []
    assert {each.language for each in blocks(PAGE)} == {"python", "ts"}
