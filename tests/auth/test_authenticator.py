"""What an authenticator receives, and what it may return."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.auth.authenticator import Handshake, Identity
from hubbub.errors import Unauthorized

UNUSABLE_IDS = [None, 7, True, ["alice"], b"alice", "", "a" * 129, "al\nice", "al\x00ice", "\ud800"]
UNUSABLE_TIMES = ["1700000000", True, float("nan"), float("inf"), 10**400, -1, [1]]


def with_cookies(*headers: str) -> Handshake:
    return Handshake("/ws", headers=[("cookie", header) for header in headers])


def test_header_lookup_ignores_case() -> None:
    handshake = Handshake("/ws", headers=[("host", "app.example"), ("x-trace", "1"), ("x-trace", "2")])
    assert handshake.header("X-Trace") == "1"
    assert handshake.headers_named("X-Trace") == ["1", "2"]
    assert handshake.header("origin") is None
    assert handshake.headers_named("origin") == []


def test_the_repr_shows_no_credentials() -> None:
    handshake = Handshake(
        "/ws",
        "token=s3cret",
        [("cookie", "session=s3cret"), ("authorization", "Bearer s3cret")],
        ("192.0.2.1", 5),
        "wss",
    )
    assert repr(handshake) == "Handshake(path='/ws', client=('192.0.2.1', 5), scheme='wss')"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("session=abc", "abc"),
        ("theme=dark; session=abc; lang=en", "abc"),
        ("theme=dark;session=abc", "abc"),
        ("  session \t=\t abc  ", "abc"),
        ('session="abc"', "abc"),
        ('session="', '"'),
        ("session=a=b==", "a=b=="),
        ("session=", ""),
        ("session=first; session=second", "first"),
        ("session", None),
        ("Session=abc", None),
        ("mysession=abc; session2=abc", None),
        ("other=session=abc", None),
        ("=abc; ;;; =", None),
        ("", None),
    ],
)
def test_a_cookie_is_read_by_its_exact_name(header: str, expected: str | None) -> None:
    assert with_cookies(header).cookie("session") == expected


def test_cookies_of_the_same_name_are_all_found_across_headers() -> None:
    handshake = with_cookies("session=1; a=b; session=2", "session=3")
    assert handshake.cookies_named("session") == ["1", "2", "3"]


@pytest.mark.parametrize(
    "header",
    [
        "session=" + "\\" * 8192,
        'session="' + "\\" * 8192,
        "; ".join(f"c{number}=v" for number in range(1000)),
        "; ".join(["session=v"] * 1000),
        ";" * 8192,
        "=" * 8192,
        " " * 8192,
    ],
    ids=["backslashes", "quoted backslashes", "1000 cookies", "1000 equal cookies", "semicolons", "equals", "blanks"],
)
def test_a_hostile_cookie_header_is_read_within_5_ms(header: str) -> None:
    handshake = with_cookies(header)

    def seconds() -> float:
        start = time.perf_counter()
        handshake.cookie("session")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.005


@given(st.text(st.characters(max_codepoint=255), max_size=300))
def test_no_cookie_header_raises(header: str) -> None:
    assert all(value in header for value in with_cookies(header).cookies_named("session"))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.from_regex(r"[\w.-]{0,20}", fullmatch=True)))
def test_plain_cookies_read_as_the_standard_library_reads_them(cookies: dict[str, str]) -> None:
    cookies = {name: value for name, value in cookies.items() if value.isascii()}
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    expected = {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    assert {name: with_cookies(header).cookie(name) for name in cookies} == expected


@pytest.mark.parametrize("user_id", UNUSABLE_IDS, ids=repr)
def test_an_identity_refuses_an_unusable_user_id(user_id: str) -> None:
    with pytest.raises(Unauthorized, match="the user id is not"):
        Identity(user_id)


@pytest.mark.parametrize("session", UNUSABLE_IDS[1:], ids=repr)
def test_an_identity_refuses_an_unusable_session(session: str) -> None:
    with pytest.raises(Unauthorized, match="the session is not"):
        Identity("alice", session=session)


@pytest.mark.parametrize("expires_at", UNUSABLE_TIMES, ids=lambda value: repr(value)[:12])
def test_an_identity_refuses_an_unusable_expiry(expires_at: float) -> None:
    with pytest.raises(Unauthorized, match="the expiry is not"):
        Identity("alice", expires_at)


@pytest.mark.parametrize("user_id", ["a", "a" * 128, "Zoë", "alice@app.example", "auth0|5f7c", "😀"])
def test_an_identity_accepts_any_printable_user_id(user_id: str) -> None:
    assert Identity(user_id).user_id == user_id
