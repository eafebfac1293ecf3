"""How the backend serves the app: its caching, and a Content-Security-Policy that runs no foreign code."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Error

from tests.browser.person import Person
from tests.browser.server import Server

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def asset(server: Server) -> str:
    found = re.search(r'src="(/assets/[^"]+\.js)"', httpx.get(server.url).text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", ["/", "/c/some-conversation", "/u/alice"])
def test_every_address_of_the_app_serves_its_page(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path, headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_a_page_that_is_still_fresh_is_not_sent_again(server: Server) -> None:
    tag = httpx.get(server.url).headers["etag"]
    answer = httpx.get(server.url, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_files_with_a_hash_in_their_name_are_kept_forever(server: Server) -> None:
    answer = httpx.get(server.url + asset(server))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"


def test_a_client_without_gzip_gets_the_same_content(server: Server) -> None:
    url = server.url + asset(server)
    plain = httpx.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == httpx.get(url).text


def test_an_unknown_address_is_a_404_and_only_browsers_get_the_page(server: Server) -> None:
    page = httpx.get(f"{server.url}/nowhere", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    problem = httpx.get(f"{server.url}/nowhere")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/nowhere", 404), ("POST", "/api/me", 405), ("GET", "/assets/%2e%2e/app.py", 404), ("POST", "/", 404)],
)
def test_the_app_does_not_shadow_other_routes(server: Server, method: str, path: str, status: int) -> None:
    assert httpx.request(method, server.url + path).status_code == status


def test_the_policy_is_strict(server: Server) -> None:
    policy = httpx.get(server.url).headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any("unsafe" in rule or "*" in rule or "data:" in rule for rule in policy)


@pytest.mark.parametrize(
    "attack",
    [
        "document.body.innerHTML = '<b>hello</b>'",
        "document.body.append(Object.assign(document.createElement('script'), { text: '1' }))",
        "setTimeout('1')",
    ],
)
def test_html_and_scripts_from_strings_are_refused(person: Callable[..., Person], attack: str) -> None:
    alice = person("alice").log_in()
    with pytest.raises(Error, match=r"TrustedHTML|TrustedScript|unsafe-eval"):
        alice.page.evaluate(f"() => {{ {attack} }}")
    assert alice.errors
    alice.errors.clear()


def test_the_demo_users_are_offered_in_development(server: Server) -> None:
    assert 'name="demo-users" content="alice bob carol dave"' in httpx.get(server.url).text
