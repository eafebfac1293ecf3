"""Fuzz handshakes and messages: no input crashes the server, and none takes more than 5 ms to handle.

Each test run tries a few hundred inputs of each kind; the soak run takes ten minutes.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import hypothesis.strategies as st
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from uvicorn.server import ServerState
from websockets.frames import Close, Frame

from hubbub import (
    ClientError,
    Handshake,
    Identity,
    JWTAuthenticator,
    OriginPolicy,
    Unauthorized,
    WebSocketProtocol,
    mint_token,
)
from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.contract.envelope import decode
from hubbub.contract.events import MESSENGER_EVENTS, PRESENCE_EVENTS, SYSTEM_EVENTS
from hubbub.contract.registry import Contract
from hubbub.frames import FrameCodec
from hubbub.limits import Limits
from hubbub.transports.uvicorn.http_protocol import HttpProtocol
from tests.support import make_gateway
from tests.websocket import frame

SLOW_SECONDS = 0.005
SOAK_SECONDS = 600
PARTS = 4
EXAMPLES = 200

LIMITS = Limits()
NO_LIMITS = Limits(handshakes_per_second=1e9, handshake_burst=10**9, sockets_per_user=10**6)
CONTRACT = Contract([*SYSTEM_EVENTS, *MESSENGER_EVENTS, *PRESENCE_EVENTS])
KEY = "a key of at least thirty-two bytes, as HS256 wants it"
authenticator = JWTAuthenticator(KEY, algorithms=["HS256"])
origins = OriginPolicy(["https://app.example"])

# --- inputs ---------------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=20), inner, max_size=8),
    max_leaves=30,
)
nested = st.builds(
    lambda depth, pair: pair[0] * depth + pair[1] * depth,
    st.integers(1, 30_000),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ("[", ""), ('"', "")]),
)
types = st.sampled_from([*CONTRACT, "client.x.y", "", "client", "server.system.error"]) | st.text(max_size=40)
envelopes = st.builds(
    lambda name, data, ts, extra: json.dumps({"type": name, "data": data, "ts": ts, **extra}),
    types,
    anything,
    st.integers() | st.floats() | anything,
    st.dictionaries(st.text(max_size=10), anything, max_size=3),
)
messages = (
    envelopes
    | nested
    | st.text(max_size=2_000)
    | st.builds(
        lambda text, at, with_: text[:at] + with_ + text[at:], envelopes, st.integers(0, 200), st.text(max_size=5)
    )
)

visible = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=400)
repeated = st.builds(lambda text, times: (text * times)[: LIMITS.header_bytes], visible, st.integers(1, 8_000))
names = st.sampled_from(["cookie", "authorization", "origin", "host", "x-forwarded-for", "sec-websocket-key"]) | visible


def signed(claims: Any) -> str:
    """Return a token with any claims, even if PyJWT would refuse to sign them."""
    parts = [_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join([*parts, _encoded(hmac.digest(KEY.encode(), ".".join(parts).encode(), "sha256"))])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def damaged(token: str, at: int, insert: str) -> str:
    return token[:at] + insert + token[at:]


claims = st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "jti", "aud", "iss", "x"]), anything)
known = st.builds(lambda claims: {"sub": "alice", "exp": 4e9, **claims}, claims)
tokens = st.builds(signed, claims | known | anything)
tokens |= st.builds(damaged, tokens, st.integers(0, 300), st.text("abc.-_=", max_size=4))
values = visible | repeated | tokens.map("Bearer {}".format) | tokens.map("hubbub_session={}".format)


def handshake(headers: list[tuple[str, str]]) -> Handshake:
    """Return a handshake with the headers that the limits allow."""
    sizes = accumulate(len(name) + len(value) + 4 for name, value in headers)
    return Handshake(
        "/ws", headers=[header for header, size in zip(headers, sizes, strict=True) if size <= LIMITS.header_bytes]
    )


frames = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=300),
    fin=st.booleans(),
    mask=st.booleans(),
    rsv=st.integers(0, 7),
)
bytes_sent = st.lists(frames | st.binary(max_size=300), max_size=40).map(b"".join)

lines = st.sampled_from(
    [
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Authorization: Bearer {mint_token('alice', key=KEY)}",
        "Transfer-Encoding: chunked",
        "Content-Length: 5",
        "Expect: 100-continue",
    ]
)
requests = st.builds(
    lambda start, usual, unusual, more: (
        "\r\n".join([start, *usual, *map(": ".join, unusual), "", ""]).encode("latin-1", "replace") + more
    ),
    st.sampled_from(["GET /ws HTTP/1.1", "GET /ws HTTP/1.0", "POST /ws HTTP/1.1", "GET / HTTP/1.1"]) | visible,
    st.lists(lines, max_size=9),
    st.lists(st.tuples(names, values), max_size=5),
    st.just(b"") | bytes_sent,
) | st.binary(max_size=2_000)
handshakes = st.builds(handshake, st.lists(st.tuples(names, values), max_size=LIMITS.headers))


# --- targets --------------------------------------------------------------------------------------------------------


def read_message(text: str) -> None:
    try:
        decode(text, CONTRACT)
    except ClientError as error:
        Close(4400, str(error)[:100]).serialize()  # the reason can be sent


def answer_handshake(handshake: Handshake) -> None:
    origins.refusal(handshake)
    try:
        identity = authenticator(handshake)
    except Unauthorized:
        return
    assert isinstance(identity, Identity)


def read_frames(data: bytes) -> None:
    codec = FrameCodec(LIMITS.message_bytes)
    codec.receive_data(data)
    for event in codec.events_received():
        assert isinstance(event, Frame)
    codec.data_to_send()


Target = tuple[st.SearchStrategy[Any], Callable[[Any], None]]


class Peer(asyncio.Transport):
    """A transport without a network: it ignores what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 80)})
        self.is_closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol

    def write(self, data: object) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class OfflineServer:
    """A server without a network, for bytes that may be a request. Used while an event loop runs."""

    def __init__(self, admission: Admission) -> None:
        self.config = uvicorn.Config(FastAPI(), http=HttpProtocol, ws=WebSocketProtocol, log_config=None)
        self.config.load()
        self.state = ServerState()
        self.app_state = {STATE_KEY: admission}

    def read(self, data: bytes) -> None:
        """Serve one connection: the bytes arrive in two parts, then it is lost."""
        peer = Peer()
        protocol = HttpProtocol(self.config, self.state, self.app_state)
        peer.set_protocol(protocol)
        protocol.connection_made(peer)
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            serving = peer.get_protocol()
            assert isinstance(serving, asyncio.Protocol)
            if part and not peer.is_closed:
                serving.data_received(part)
        serving = peer.get_protocol()
        assert isinstance(serving, asyncio.Protocol)
        serving.connection_lost(None)


TARGETS: dict[str, Target] = {
    "messages": (messages, read_message),
    "handshakes": (handshakes, answer_handshake),
    "frames": (bytes_sent, read_frames),
}


async def fuzz_requests(examples: int, start: int) -> float:
    """Feed requests to a server without a network; return the CPU seconds of the slowest."""
    gateway = make_gateway(authenticate=authenticator, limits=NO_LIMITS)
    server = OfflineServer(await gateway.start())
    try:
        slowest = fuzz("requests", examples, start, (requests, server.read))
        await asyncio.sleep(0)
    finally:
        await gateway.stop()
    assert gateway.load.sockets == 0
    return slowest


def quickest(call: Callable[[Any], None], argument: Any) -> float:
    """Return the CPU seconds that a call takes: the least of three if the first looks slow."""
    seconds = float("inf")
    for _ in range(3):
        began = time.thread_time()
        call(argument)
        seconds = min(seconds, time.thread_time() - began)
        if seconds < SLOW_SECONDS:
            break
    return seconds


def fuzz(name: str, examples: int, start: int, target: Target | None = None) -> float:
    """Feed inputs to one target; return the CPU seconds of the slowest."""
    strategy, call = target or TARGETS[name]
    slowest = 0.0

    @seed(start)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(argument: Any) -> None:
        nonlocal slowest
        seconds = quickest(call, argument)
        slowest = max(slowest, seconds)
        assert seconds < SLOW_SECONDS, f"{seconds * 1000:.1f} ms"

    run()
    return slowest


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_crashes_the_target_and_none_is_slow(target: str, tell: Callable[[str], None]) -> None:
    slowest = fuzz(target, EXAMPLES, start=1)
    tell(f"{EXAMPLES} inputs, the slowest took {slowest * 1000:.2f} ms")


async def test_no_request_crashes_the_server_and_none_is_slow(tell: Callable[[str], None]) -> None:
    slowest = await fuzz_requests(EXAMPLES, start=1)
    tell(f"{EXAMPLES} inputs, the slowest took {slowest * 1000:.2f} ms")


@pytest.mark.soak
async def test_no_request_crashes_the_server_and_none_is_slow_in_minutes(tell: Callable[[str], None]) -> None:
    end = time.monotonic() + SOAK_SECONDS / PARTS
    rounds, slowest = 0, 0.0
    while time.monotonic() < end:
        rounds += 1
        slowest = max(slowest, await fuzz_requests(1_000, start=rounds))
    tell(f"{rounds * 1_000} inputs, the slowest took {slowest * 1000:.2f} ms")


@pytest.mark.soak
@pytest.mark.parametrize("target", TARGETS)
def test_no_input_crashes_the_target_and_none_is_slow_in_minutes(target: str, tell: Callable[[str], None]) -> None:
    end = time.monotonic() + SOAK_SECONDS / PARTS
    rounds, slowest = 0, 0.0
    while time.monotonic() < end:
        rounds += 1
        slowest = max(slowest, fuzz(target, 1_000, start=rounds))
    tell(f"{rounds * 1_000} inputs, the slowest took {slowest * 1000:.2f} ms")


def test_the_slowest_known_inputs_are_fast_enough() -> None:
    for cookie in ("\\" * 8_000, "; ".join(f"c{number}=1" for number in range(1_000)), '"' * 8_000, "=" * 8_000):
        assert quickest(answer_handshake, handshake([("host", "h"), ("cookie", cookie)])) < SLOW_SECONDS
    for text in ("[" * 60_000, '{"a":' * 10_000, "9" * 60_000, '{"type":"' + "\\u0000" * 10_000):
        assert quickest(read_message, text) < SLOW_SECONDS
