"""The web app's files, before a browser sees them; how they are served is tested in `tests/browser` too."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from hubbub_messenger.web_app import serve_web_app

PAGE = '<meta name="demo-users" content="">'
SCRIPT = "/assets/index-1234.js"


async def request(
    folder: Path,
    path: str,
    method: str = "GET",
    *,
    demo_users: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    app = FastAPI()
    serve_web_app(app, folder, demo_users)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, headers=headers)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A web app with a page and one script."""
    (tmp_path / "app/assets").mkdir(parents=True)
    (tmp_path / "app/index.html").write_text(PAGE)
    (tmp_path / f"app{SCRIPT}").write_text("let text\n" * 20_000)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "app"


@pytest.mark.parametrize(
    ("users", "content"), [((), ""), (("alice", "bob"), "alice bob"), (('"><b>',), "&quot;&gt;&lt;b&gt;")]
)
async def test_the_login_page_offers_the_demo_users_it_is_given(
    built: Path, users: tuple[str, ...], content: str
) -> None:
    answer = await request(built, "/", demo_users=users)

    assert answer.text == f'<meta name="demo-users" content="{content}">'


@pytest.mark.parametrize("folder", ["", "missing"])
async def test_an_app_that_is_not_built_explains_how_to_build_it(tmp_path: Path, folder: str) -> None:
    answer = await request(tmp_path / folder, "/")

    assert answer.status_code == 503
    assert "make run" in answer.text
    assert (await request(tmp_path / folder, "/favicon.svg")).status_code == 404


@pytest.mark.parametrize("path", ["/../secret", "/%2e%2e/secret", "/assets/../../secret", "/assets/"])
async def test_only_files_of_the_folder_are_served(built: Path, path: str) -> None:
    assert (await request(built, path)).status_code == 404


async def test_head_answers_like_get_without_a_body(built: Path) -> None:
    head, get = await request(built, SCRIPT, "HEAD"), await request(built, SCRIPT)

    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in ("etag", "cache-control", "content-type")} == {
        name: get.headers[name] for name in ("etag", "cache-control", "content-type")
    }


@pytest.mark.parametrize("path", ["/", SCRIPT])
async def test_a_fresh_copy_gets_a_304_with_the_same_headers(built: Path, path: str) -> None:
    full = await request(built, path)

    answer = await request(built, path, headers={"If-None-Match": full.headers["etag"]})

    assert (answer.status_code, answer.content) == (304, b"")
    for name in ("etag", "cache-control", "content-security-policy", "x-content-type-options"):
        assert answer.headers[name] == full.headers[name]
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_pages_of_the_same_length_and_age_have_different_etags(built: Path) -> None:
    page = built / "index.html"
    tags = set()
    for text in ("<p>one</p>", "<p>two</p>"):
        page.write_text(text)
        os.utime(page, (0, 0))
        tags.add((await request(built, "/")).headers["etag"])

    assert len(tags) == 2


async def test_an_unknown_address_is_not_cached(built: Path) -> None:
    answer = await request(built, "/assets/index-0000.js", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-cache")


async def test_index_html_has_no_address_of_its_own(built: Path) -> None:
    assert (await request(built, "/index.html")).status_code == 404
