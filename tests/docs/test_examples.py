"""Every app in docs/examples works as the guides say: run by its own command, tested over real sockets."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from hubbub import ServerEvent, Topic, event
from hubbub.contract.events import Error
from hubbub.testing import Address
from tests.processes import HUBBUB, command

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
APPS = ["fastapi_app", "starlette_app", "litestar_app", "django_app"]
MAX_LINES = 60


@event("server.notes.added", topics={"team": "team_id"})
class NoteAdded(ServerEvent, frozen=True):
    """The event that all examples publish."""

    team_id: str


@pytest.fixture(params=APPS)
def example(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def server(example: str, tmp_path: Path) -> AsyncIterator[Address]:
    variables = {"PYTHONPATH": str(EXAMPLES), "PYTHONDONTWRITEBYTECODE": "1"}
    if example == "django_app":
        process = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLES / "django_setup.py", cwd=tmp_path, env={**os.environ, **variables}
        )
        assert await process.wait() == 0
    async with command(tmp_path, HUBBUB, "run", f"{example}:app", "--port", "0", **variables) as running:
        yield running.address


class Person:
    """A user of an example over REST. Django's example accepts forms, the others JSON."""

    def __init__(self, example: str, server: Address) -> None:
        self.media = "data" if example == "django_app" else "json"
        self.server = server
        self.headers: dict[str, str] = {}

    async def sign_in(self, name: str) -> None:
        response = await self._post("/session", user=name, password=name)
        assert response.is_success, response.text
        if response.cookies:
            self.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in response.cookies.items())
            self.headers["Origin"] = self.server.http  # as browsers send it: a cookie is only accepted with it
        else:
            self.headers["Authorization"] = f"Bearer {response.json()['token']}"

    async def add_note(self, team: str) -> int:
        return (await self._post(f"/teams/{team}/notes", text="hello")).status_code

    async def _post(self, path: str, **fields: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.server.http, headers=self.headers) as rest:
            return await rest.request("POST", path, **{self.media: fields})  # type: ignore[arg-type]


@pytest.fixture
async def people(example: str, server: Address) -> dict[str, Person]:
    found = {name: Person(example, server) for name in ("alice", "bob", "carol")}
    for name, person in found.items():
        await person.sign_in(name)
    return found


async def test_only_members_receive_a_note(server: Address, people: dict[str, Person]) -> None:
    async with (
        server.connect(headers=people["bob"].headers) as bob,
        server.connect(headers=people["carol"].headers) as carol,
    ):
        assert bob.user_id == "bob"
        await bob.subscribe("team:red")
        assert (await carol.subscribe("team:red", "team:blue")).refused == (Topic("team", "red"),)
        assert (await carol.expect(Error)).code == "topic_forbidden"

        assert await people["alice"].add_note("red") == 201

        assert await bob.expect(NoteAdded) == NoteAdded("red")
        await carol.expect_silence(NoteAdded)
        assert await people["alice"].add_note("blue") in (403, 404)
        await carol.expect_silence(NoteAdded)


async def test_a_request_without_a_credential_is_refused(example: str, server: Address) -> None:
    async with server.connect() as nobody:
        await nobody.expect_closed(4401)

    assert await Person(example, server).add_note("red") in (401, 403, 404)


@pytest.mark.parametrize("name", APPS)
def test_an_example_fits_on_a_screen(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= MAX_LINES
