"""Which pages may open a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.authenticator import Handshake
from hubbub.auth.origin import OriginPolicy
from hubbub.errors import ConfigurationError

COOKIE = ("cookie", "hubbub_session=abc")
AUTHORIZATION = ("authorization", "Bearer abc")


def handshake(*origins: str, host: str | None = "app.example", extra: tuple[tuple[str, str], ...] = ()) -> Handshake:
    headers = [("origin", origin) for origin in origins]
    if host is not None:
        headers.append(("host", host))
    return Handshake("/ws", headers=[*headers, *extra])


def is_allowed(seen: Handshake, *allowed: str) -> bool:
    return OriginPolicy(allowed).refusal(seen) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://app.example", "app.example"),
        ("https://app.example", "app.example:443"),
        ("https://app.example:443", "app.example"),
        ("http://app.example", "app.example:80"),
        ("https://APP.example", "App.Example"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_page_of_the_servers_own_host_is_allowed(origin: str, host: str) -> None:
    assert is_allowed(handshake(origin, host=host))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "app.example"),
        ("null", "app.example"),
        ("https://app.example.evil", "app.example"),
        ("https://evil-app.example", "app.example"),
        ("https://sub.app.example", "app.example"),
        ("https://app.example:8443", "app.example"),
        ("https://app.example", "app.example:8443"),
        ("https://app.example", "app.example:80"),
        ("https://app.example/", "app.example"),
        ("https://app.example@evil.example", "app.example"),
        ("https://evil.example#app.example", "app.example"),
        ("https://app.example https://evil.example", "app.example"),
        ("https://app.example, https://evil.example", "app.example"),
        ("https://app.example\n", "app.example"),
        ("https://app.exampl\u212a", "app.examplk"),
        ("app.example", "app.example"),
        ("//app.example", "app.example"),
        ("https://app.example:99999999", "app.example:99999999"),
        ("", "app.example"),
        ("https://", ""),
        ("https://app.example", None),
        ("https://app.example", "app.example/evil"),
        ("https://app.example", "app.example:443:443"),
    ],
)
def test_a_foreign_or_garbled_origin_is_refused(origin: str, host: str | None) -> None:
    assert not is_allowed(handshake(origin, host=host))


def test_two_origins_are_refused_even_if_each_would_be_allowed() -> None:
    assert not is_allowed(handshake("https://app.example", "https://app.example"))
    assert not is_allowed(handshake("https://app.example", "https://app.example"), "https://app.example")


def test_two_hosts_match_no_origin() -> None:
    assert not is_allowed(handshake("https://app.example", extra=(("host", "app.example"),)))


def test_no_origin_is_refused_if_the_cookie_is_the_only_credential() -> None:
    assert not is_allowed(handshake(extra=(COOKIE,)))
    assert not is_allowed(handshake(extra=(COOKIE,)), "https://app.example")


def test_no_origin_is_fine_without_a_cookie_or_with_an_authorization_header() -> None:
    assert is_allowed(handshake())
    assert is_allowed(handshake(extra=(AUTHORIZATION,)))
    assert is_allowed(handshake(extra=(AUTHORIZATION, COOKIE)))


@pytest.mark.parametrize(
    "entry", ["https://web.example", "HTTPS://WEB.EXAMPLE", "https://web.example:443", "capacitor://localhost"]
)
def test_a_listed_origin_is_allowed_however_it_is_written(entry: str) -> None:
    origin = "capacitor://localhost" if entry.startswith("capacitor") else "https://web.example"
    assert is_allowed(handshake(origin), entry)


@pytest.mark.parametrize(
    "origin", ["http://web.example", "https://web.example.evil", "https://web.example:8443", "null"]
)
def test_an_origin_that_only_resembles_a_listed_one_is_refused(origin: str) -> None:
    assert not is_allowed(handshake(origin), "https://web.example")


def test_with_a_list_the_servers_own_host_must_be_listed_too() -> None:
    assert not is_allowed(handshake("https://app.example"), "https://web.example")
    assert is_allowed(handshake("https://app.example"), "https://web.example", "https://app.example")


def test_a_star_disables_the_check() -> None:
    assert is_allowed(handshake("https://evil.example", extra=(COOKIE,)), "*")
    assert is_allowed(handshake("null"), "*", "https://app.example")


@pytest.mark.parametrize(
    "entry", ["app.example", "https://app.example/", "https://*.app.example", "null", "https://", ""]
)
def test_an_invalid_origin_in_the_list_is_a_configuration_error(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="is not an origin: write scheme://host"):
        OriginPolicy([entry])


def test_a_bare_string_in_place_of_the_list_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="takes a list"):
        OriginPolicy("https://app.example")


def test_the_reason_quotes_the_origin_and_cuts_it() -> None:
    reason = OriginPolicy().refusal(handshake("https://evil\r\nfake log line" + "x" * 8000))
    assert reason is not None
    assert reason.isprintable()
    assert len(reason) < 200


@given(st.text(max_size=80), st.text(max_size=80))
def test_only_an_equal_origin_passes_and_nothing_raises(origin: str, host: str) -> None:
    allowed = is_allowed(handshake(origin, host=host))
    assert not allowed or origin.split("://")[1].split(":")[0].lower() == host.split(":")[0].lower()
