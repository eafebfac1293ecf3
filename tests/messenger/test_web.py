"""The web app's files, before a browser sees them; how they are served is tested in ``tests/browser``."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from hubbub_messenger.web import mount_web

PAGE = '<meta name="demo-users" content="">'


async def get(folder: Path, path: str, demo_users: tuple[str, ...] = ()) -> httpx.Response:
    app = FastAPI()
    mount_web(app, folder, demo_users)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("users", "content"), [((), ""), (("alice", "bob"), "alice bob"), (('"><b>',), "&quot;&gt;&lt;b&gt;")]
)
async def test_the_login_page_offers_the_demo_users_it_is_given(
    tmp_path: Path, users: tuple[str, ...], content: str
) -> None:
    (tmp_path / "index.html").write_text(PAGE)
    assert (await get(tmp_path, "/", users)).text == f'<meta name="demo-users" content="{content}">'


async def test_an_app_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    answer = await get(tmp_path, "/")
    assert answer.status_code == 503
    assert "make run" in answer.text


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/assets/../../secret"])
async def test_nothing_outside_the_folder_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "index.html").write_text(PAGE)
    assert (await get(tmp_path / "app", path)).status_code == 404
