"""The response to an ordinary upgrade equals the negotiator's. The negotiator answers every other upgrade."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from hubbub.transports.uvicorn.upgrade import Upgrade

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ORDINARY = {
    "host": "app.example",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}


def written(headers: list[tuple[str, str]], method: str = "GET", protocol: str = "HTTP/1.1") -> bytes:
    lines = [f"{method} /ws?a=b {protocol}", *[f"{name}: {value}" for name, value in headers]]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def negotiated(upgrade: Upgrade) -> tuple[int, str | None]:
    """Return the response of `websockets` to the whole request: the status, and the accept header."""
    request = Request(upgrade.path, Headers(upgrade.headers), upgrade.method, upgrade.protocol)
    response = ServerProtocol().accept(request)
    return response.status_code, response.headers.get("Sec-WebSocket-Accept")


def answered(upgrade: Upgrade) -> tuple[int, str | None]:
    status, response = upgrade.response()
    head, _, body = response.partition(b"\r\n\r\n")
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert status != 101 or (fields["Upgrade"], fields["Connection"], body) == ("websocket", "Upgrade", b"")
    return status, fields.get("Sec-WebSocket-Accept")


def test_the_example_of_rfc_6455_gets_its_answer() -> None:
    status, response = Upgrade.parse(written(list(ORDINARY.items()))).response()

    assert status == 101
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in response  # section 1.3


def test_a_written_request_is_parsed_back() -> None:
    upgrade = Upgrade.parse(written([("host", "a:1"), ("cookie", "x=1: 2")]).replace(b"/ws?", b"/%77s?"))

    assert (upgrade.method, upgrade.path, upgrade.query) == ("GET", "/ws", "a=b")
    assert upgrade.headers == [("host", "a:1"), ("cookie", "x=1: 2")]


def test_a_request_from_the_parser_is_the_request_that_uvicorn_writes_out() -> None:
    headers = [("host", "a:1"), ("cookie", "x=1: \xe9"), ("x-empty", "")]
    written_out = written(headers).replace(b"/ws?", b"/%77s%3F?")
    parsed = [(name.encode(), value.encode("latin-1")) for name, value in headers]

    assert Upgrade.from_parser(b"GET", b"/%77s%3F?a=b", parsed) == Upgrade.parse(written_out)


VALUES = {
    "upgrade": ["websocket", "WebSocket", "h2c", "websocket, h2c", ""],
    "connection": ["Upgrade", "keep-alive, Upgrade", "upgrade , close", "close", ""],
    "sec-websocket-key": [
        KEY,
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAB==",
        "short",
        "",
        KEY + KEY,
        "é" * 24,
    ],
    "sec-websocket-version": ["13", "8", "013", ""],
    "sec-websocket-protocol": ["chat", "chat, superchat", "\xe9"],
    "sec-websocket-extensions": ["permessage-deflate; client_max_window_bits"],
    "origin": ["https://app.example"],
}
HEADERS = st.sampled_from([(name, value) for name, values in VALUES.items() for value in values])


@given(
    dropped=st.sets(st.sampled_from(sorted(ORDINARY)), max_size=1),
    added=st.lists(HEADERS, max_size=2),
    changed=st.dictionaries(st.sampled_from(sorted(VALUES)), st.integers(0, 6), max_size=2),
    method=st.sampled_from(["GET", "GET", "GET", "POST"]),
)
def test_every_response_equals_the_negotiators(
    dropped: set[str], added: list[tuple[str, str]], changed: dict[str, int], method: str
) -> None:
    base = {name: value for name, value in ORDINARY.items() if name not in dropped}
    base |= {name: VALUES[name][index % len(VALUES[name])] for name, index in changed.items()}
    upgrade = Upgrade.parse(written([*base.items(), *added], method))

    assert answered(upgrade) == negotiated(upgrade)


def test_an_upgrade_with_two_origins_is_left_to_the_negotiator() -> None:
    upgrade = Upgrade.parse(
        written([*ORDINARY.items(), ("origin", "https://a.example"), ("origin", "https://b.example")])
    )

    assert answered(upgrade) == negotiated(upgrade)
    assert upgrade.response()[0] == 400


@pytest.mark.parametrize("extension", ["permessage-deflate", "x-webkit-deflate-frame"])
def test_an_offered_extension_is_not_accepted(extension: str) -> None:
    upgrade = Upgrade.parse(written([*ORDINARY.items(), ("sec-websocket-extensions", extension)]))

    assert b"Extensions" not in upgrade.response()[1]
