"""Whatever a client does with a token, no log at any level, no close reason and no error contains it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from hubbub import Handshake, Identity, JWTAuthenticator, mint_token
from hubbub.testing import Address
from tests.processes import HUBBUB, command
from tests.support import make_gateway, running
from tests.websocket import CLOSE, RawSocket, frame, upgrade

KEY = "the-key-that-signs-all-tokens-of-this-test"
METRICS_TOKEN = "what-the-scraper-of-metrics-sends"
PASSWORD = "correct-horse-battery-staple"
PIECE = 12  # this many consecutive characters of a secret count as a leak


def token(**claims: Any) -> str:
    return mint_token("alice", key=KEY, claims={"jti": "a-session", **claims})


def forged() -> str:
    head, claims, signature = token().split(".")
    return f"{head}.{claims}.{signature[::-1]}"


TOKENS = {
    "good": token(),
    "expired": token(exp=int(time.time()) - 10),
    "forged": forged(),
    "no JSON": f"{token().split('.')[0]}.bm8tanNvbi1idXQtc2VjcmV0.c2lnbmF0dXJlLW9mLW5vYm9keQ",
    "no JWT": "somebodys-password-in-the-wrong-place",
    "not ASCII": "somebodys-p\xe4ssword-with-an-umlaut",
    "over 6 KiB": "a-very-long-token-" * 400,
}


def leaks(text: str) -> list[str]:
    """Return the pieces of secrets in a text. The first part of a JWT only names its algorithm."""
    secrets = [KEY, METRICS_TOKEN, PASSWORD]
    for value in TOKENS.values():
        secrets += value.split(".")[1:] or [value]
    pieces = {secret[start : start + PIECE] for secret in secrets for start in range(len(secret) - PIECE + 1)}
    return sorted(piece for piece in pieces if piece in text)


def test_a_leak_is_detected() -> None:
    assert leaks(f"unauthorized: {TOKENS['expired'][-20:]!r}")
    assert leaks("nothing to see here") == []


def test_the_repr_of_a_handshake_shows_no_secret() -> None:
    value = TOKENS["good"]
    headers = [("authorization", f"Bearer {value}"), ("cookie", f"hubbub_session={value}")]

    assert leaks(repr(Handshake("/ws", f"token={value}", headers))) == []


async def try_upgrades(address: Address) -> str:
    """Send every token, good or bad, in every place of an upgrade. Return all responses."""
    answers = []
    for name, value in TOKENS.items():
        in_header, in_cookie = f"Authorization: Bearer {value}", f"Cookie: hubbub_session={value}"
        path = "/ws" if name == "not ASCII" else f"/ws?token={value}&access_token={value}"
        requests = (
            upgrade(address, in_header),
            upgrade(address, in_cookie, f"Origin: {address.http}"),
            upgrade(address, in_cookie, "Origin: https://evil.example"),
            upgrade(address, in_header, in_cookie),
            upgrade(address, in_header, version="8"),
            upgrade(address, in_header, method="POST"),
            upgrade(address, in_header, "Host: another.example"),
            upgrade(address, in_header, *(f"X-Header-{number}: {value[:100]}" for number in range(130))),
            upgrade(address, f"Sec-WebSocket-Protocol: {value if value.isascii() else 'token'}"),
            upgrade(address, path=path),
        )
        answers += [await _exchange(address, request.decode().encode("latin-1")) for request in requests]
    return "\n".join(answers)


async def _exchange(address: Address, request: bytes) -> str:
    """Send a request and a close frame. Return everything received until the connection ends."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 101 "):
            writer.write(frame(CLOSE, b"\x03\xe8"))
        else:
            writer.write_eof()
        rest = await reader.read()
        writer.close()
        return (head + rest).decode("latin-1")
    writer.close()
    return ""


async def send_tokens_as_events(address: Address) -> str:
    """Send tokens where events are expected; return the close reasons."""
    reasons = []
    value = TOKENS["good"]
    for text in (
        value,
        json.dumps(value),
        json.dumps({"type": value, "data": {}, "ts": 1}),
        json.dumps({"type": "client.system.subscribe", "data": value, "ts": 1}),
        json.dumps({"type": "client.system.subscribe", "data": {"topics": [value]}, "ts": 1}),
        json.dumps({"type": "server.system.ready", "data": {"token": value}, "ts": 1}),
    ):
        async with RawSocket.upgraded(address, f"Authorization: Bearer {value}") as raw:
            await raw.write(frame(1, text.encode()))
            opcode, payload = await raw.next_frame()
            while opcode != CLOSE:
                opcode, payload = await raw.next_frame()
            assert payload[:2] == (4400).to_bytes(2), text
            reasons.append(payload[2:].decode())
    async with RawSocket.upgraded(address, f"Authorization: Bearer {value}") as raw:
        subscribe = {"type": "client.system.subscribe", "data": {"topics": [{"kind": "conversation", "id": value}]}}
        for event in (subscribe, {"type": f"client.test.{value[:100]}", "data": {"token": value}}):
            await raw.write(frame(1, json.dumps({**event, "ts": 1, "id": value[:100]}).encode()))
        await raw.write(frame(CLOSE, (4321).to_bytes(2) + value[-100:].encode()))
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await raw.next_frame()  # a client may receive its own input: that is not secret from it
    return "\n".join(reasons)


async def test_the_library_logs_no_token_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    for name in ("hubbub", "uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "asyncio"):
        caplog.set_level(1, name)
    gateway = make_gateway(authenticate=JWTAuthenticator(KEY, algorithms=["HS256"], cookie="hubbub_session"))
    async with running(gateway) as address:
        answered = await try_upgrades(address)
        answered += await send_tokens_as_events(address)
    logged = "\n".join([record.getMessage() for record in caplog.records])

    assert "unauthorized: " in logged
    assert "closed with 4400" in logged
    assert leaks(caplog.text + logged) == []
    assert leaks(answered) == []


async def test_an_authenticator_that_fails_logs_no_token(caplog: pytest.LogCaptureFixture) -> None:
    def authenticate(handshake: Handshake) -> Identity:
        raise LookupError(f"nobody knows {handshake}")

    async with running(make_gateway(authenticate=authenticate)) as address:
        answered = await try_upgrades(address)

    assert "LookupError: nobody knows Handshake(path='/ws'" in caplog.text
    assert leaks(caplog.text) == []
    assert leaks(answered) == []


async def test_the_messenger_logs_no_secret_even_at_trace_level(tmp_path: Path) -> None:
    settings = {
        "HUBBUB_ENVIRONMENT": "development",
        "HUBBUB_SECRET": KEY,
        "HUBBUB_METRICS_TOKEN": METRICS_TOKEN,
        "HUBBUB_DATABASE_URL": "sqlite:///./messenger.db",
    }
    arguments = (HUBBUB, "run", "hubbub_messenger.app:app", "--port", "0", "--log-level", "trace", "--drain", "0")
    async with command(tmp_path, *arguments, **settings) as server:
        ended = asyncio.create_task(server.ended())  # keep reading, so that the server never blocks on its log
        answered = await try_upgrades(server.address)
        answered += await send_tokens_as_events(server.address)
        answered += await try_rest(server.address)
        server.process.send_signal(signal.SIGTERM)
        await ended

    assert re.search(r"INFO.* unauthorized: ", server.log)
    assert "uvicorn.asgi" in server.log or "ASGI [" in server.log  # proof that it logged at trace level
    assert "POST /api/session HTTP/1.1" in server.log
    assert leaks(server.log) == []
    assert leaks(answered) == []


async def try_rest(address: Address) -> str:
    """Send every token over REST; return the headers and bodies of all responses."""
    answers = []
    async with httpx.AsyncClient(base_url=address.http) as client:
        for value in TOKENS.values():
            encoded = value.encode("latin-1")
            for header in ((b"Authorization", b"Bearer " + encoded), (b"Cookie", b"hubbub_session=" + encoded)):
                answers += [await client.get(path, headers=[header]) for path in ("/api/me", "/metrics")]
        for password in (PASSWORD, [PASSWORD], PASSWORD * 500):
            body = {"username": "alice", "password": password}
            answers.append(await client.post("/api/session", json=body))
        answers.append(await client.post("/api/session", content=f'{{"password": "{PASSWORD}", '.encode()))
        answers.append(await client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}))
    return "\n".join(f"{answer.headers} {answer.text}" for answer in answers)
