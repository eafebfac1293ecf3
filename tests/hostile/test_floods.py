"""A client that sends too much is closed, with a code that says so and one line in the log; no other notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from hubbub import ConfigurationError, Context, Domain, Envelope, Gateway, MessengerDomain, Router, Typing
from hubbub.connections.connection import CONTROL_FRAMES
from hubbub.frames import FrameCodec
from hubbub.limits import Limits
from hubbub.testing import Address
from hubbub.transports.uvicorn.websocket import CHUNK_BYTES, MAX_IGNORED_FRAMES
from tests.support import Client, clock_of, make_gateway, running, services_of, types
from tests.websocket import RawSocket, frame

TEXT, CLOSE, PING, PONG, CONTINUATION = 1, 8, 9, 10, 0

UNKNOWN = frame(TEXT, b'{"type":"client.x.y","data":{},"ts":1}')
SUBSCRIBE = frame(TEXT, b'{"type":"client.system.subscribe","data":{"topics":[]},"ts":1}')
TYPING = frame(
    TEXT, b'{"type":"client.messenger.typing","data":{"conversationId":"c","userId":"u","isTyping":true},"ts":1}'
)


@pytest.fixture
def gateway() -> Gateway:
    return make_gateway()


@pytest.fixture
async def server(gateway: Gateway) -> AsyncIterator[Address]:
    async with running(gateway) as address:
        yield address


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Collect every frame that the server parses."""
    frames: list[object] = []
    recv_frame = FrameCodec.recv_frame

    def record(codec: FrameCodec, frame: object) -> None:
        frames.append(frame)
        recv_frame(codec, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(FrameCodec, "recv_frame", record)
    return iter([frames])


async def end(raw: RawSocket) -> tuple[int, bytes]:
    """Read until the close frame; return its code and reason."""
    while True:
        opcode, payload = await raw.next_frame()
        if opcode == CLOSE:
            return int.from_bytes(payload[:2]), payload[2:]


async def rest(raw: RawSocket) -> bytes:
    """Read until the server ends the connection, however it does."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await raw.reader.read(65536):
            data += chunk
    return bytes(data)


FLOODS = {
    "events of no known type": (UNKNOWN, 120, "events"),
    "subscribes": (SUBSCRIBE, 120, "events"),
    "typing": (TYPING, 90, "client.messenger.typing"),
    "pings": (frame(PING, b""), 120, "control frames"),
    "pongs that nobody asked for": (frame(PONG, b""), 120, "control frames"),
}


@pytest.mark.parametrize(("data", "limit", "kind"), FLOODS.values(), ids=FLOODS.keys())
async def test_one_more_than_a_minute_allows_closes_with_4429(
    gateway: Gateway, server: Address, data: bytes, limit: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hubbub")
    async with Client.open(server, "bob") as bystander, RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await raw.write(data * limit + frame(PING, b"still here"))
        if kind != "control frames":
            while await raw.next_frame() != (PONG, b"still here"):
                pass

        await raw.write(data)

        assert await end(raw) == (4429, f"rate limited: over {limit} {kind} a minute".encode())
        assert await bystander.heard() == []
        assert [socket.context.user_id for socket in services_of(gateway).hub] == ["bob"]
    assert (gateway.stats.closes[4429], dict(gateway.stats.over_rate)) == (1, {kind: 1})
    lines = [record for record in caplog.records if "4429" in record.getMessage()]
    assert len(lines) == 1
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_client_that_waits_may_send_again(gateway: Gateway, server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        for _ in range(3):
            await raw.write(SUBSCRIBE * 100 + frame(PING, b"and now"))
            while await raw.next_frame() != (PONG, b"and now"):
                pass
            clock_of(gateway).advance(49)  # 98 come back, with two pings; the heartbeat is answered with the next batch
            await raw.write(frame(PONG, b""))

        assert gateway.load.sockets == 1


async def test_pongs_that_were_asked_for_cost_nothing(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        for _ in range(5):
            clock_of(gateway).advance(25)
            await alice.heard()
        (socket,) = services_of(gateway).hub
        clock_of(gateway).advance(25)
        await (await alice.socket.ping())  # our own pong was sent before this one is answered

        assert socket.rate_limits.bucket(CONTROL_FRAMES).tokens == 119  # that one ping, and none of six pongs


async def test_a_socket_at_rest_has_no_rate_limits(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice", "conversation:c"):
        (socket,) = services_of(gateway).hub
        assert socket.rate_limits is not None
        for _ in range(4):
            clock_of(gateway).advance(25)
            while socket.unanswered_pings:
                await asyncio.sleep(0)

        assert socket.rate_limits is None


async def test_an_app_sets_a_rate_for_an_event_of_its_own() -> None:
    class Strict(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing, per_minute=2)

        def typing(self, ctx: Context, message: Envelope[Typing]) -> None: ...

    gateway = make_gateway(domains=[Strict()])
    async with running(gateway) as server, RawSocket.open(server, "alice") as raw:
        await raw.write(TYPING * 3)

        assert await end(raw) == (4429, b"rate limited: over 2 client.messenger.typing a minute")
    assert gateway.stats.events_in["client.messenger.typing"] == 2


def test_a_rate_that_lets_nothing_through_is_a_mistake() -> None:
    def typing(ctx: Context, message: Envelope[Typing]) -> None: ...

    with pytest.raises(ConfigurationError, match="must be at least 1"):
        Router().on(Typing, typing, per_minute=0)


async def test_the_rates_of_a_gateway_are_its_own() -> None:
    gateway = make_gateway(limits=Limits(events_per_minute=3, control_frames_per_minute=2))
    async with running(gateway) as server:
        async with RawSocket.open(server, "alice") as raw:
            await raw.write(SUBSCRIBE * 4)
            assert await end(raw) == (4429, b"rate limited: over 3 events a minute")
        async with RawSocket.open(server, "alice") as raw:
            await raw.write(frame(PING, b"") * 3)
            assert await end(raw) == (4429, b"rate limited: over 2 control frames a minute")


# --- fragments ------------------------------------------------------------------------------------------------------


def fragments(text: bytes, count: int) -> bytes:
    """Return one message in so many fragments, most of them empty."""
    middle = frame(CONTINUATION, b"", fin=False) * (count - 2)
    return frame(TEXT, text, fin=False) + middle + frame(CONTINUATION, b"")


@pytest.mark.parametrize(("count", "is_read"), [(2, True), (64, True), (65, False)])
async def test_a_message_has_64_fragments_at_most(server: Address, count: int, is_read: bool) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await raw.write(fragments(b'{"type":"client.x.y","data":{},"ts":1}', count))

        opcode, payload = await raw.next_frame()
        if is_read:
            assert json.loads(payload)["data"]["code"] == "unknown_type"
        else:
            assert (opcode, payload) == (CLOSE, (1009).to_bytes(2) + b"too many fragments")


async def test_endless_empty_fragments_are_closed_though_pongs_keep_the_heartbeat_quiet(
    gateway: Gateway, server: Address
) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await raw.write(frame(TEXT, b"", fin=False))
        sent = 1
        while gateway.load.sockets:
            clock_of(gateway).advance(25)
            assert (await raw.next_frame())[0] in (PING, CLOSE)
            await raw.write(frame(PONG, b"") + frame(CONTINUATION, b"", fin=False) + frame(PING, b"read so far"))
            sent += 1
            while gateway.load.sockets and await raw.next_frame() != (PONG, b"read so far"):
                pass
            assert sent < 100

        assert gateway.stats.closes == {1009: 1}
        assert sent == 65


# --- nothing of a flood is parsed once it has failed --------------------------------------------------------------


@pytest.mark.parametrize("data", [frame(PING, b""), UNKNOWN, frame(CONTINUATION, b"", fin=False)])
async def test_what_follows_a_fault_in_the_same_bytes_is_never_parsed(
    server: Address, data: bytes, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        start = frame(TEXT, b"", fin=False) if data[0] == CONTINUATION else b""
        await raw.write(start + data * (256 * 1024 // len(data)))

        assert (await end(raw))[0] in (4429, 1009)
        assert await raw.reader.read() == b""
    assert 64 < len(frames) <= 121 + CHUNK_BYTES // len(data)


async def test_a_malformed_event_ends_the_parsing_too(server: Address, parsed: Iterator[list[object]]) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        await raw.write(frame(TEXT, b"{") * 10_000)

        assert (await end(raw))[0] == 4400
    assert len(frames) <= 1 + CHUNK_BYTES // 7


async def test_a_client_that_sends_after_our_close_frame_is_soon_ignored(
    gateway: Gateway, server: Address, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await gateway.disconnect("alice")
        assert (await end(raw))[0] == 4403

        await raw.write(frame(PING, b"") * 40_000)
        clock_of(gateway).advance(5)

        assert len(await rest(raw)) <= 2 * (MAX_IGNORED_FRAMES + CHUNK_BYTES // 6)
    assert len(frames) <= MAX_IGNORED_FRAMES + CHUNK_BYTES // 6


async def test_a_client_that_was_never_admitted_is_soon_ignored_too(
    server: Address, gateway: Gateway, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.upgraded(server) as raw:
        assert (await end(raw))[0] == 4401

        await raw.write(UNKNOWN * 10_000)
        clock_of(gateway).advance(5)
        await rest(raw)
    assert len(frames) <= MAX_IGNORED_FRAMES + CHUNK_BYTES // len(UNKNOWN) + 1


async def test_a_close_frame_that_answers_ours_is_found_among_what_was_under_way(
    gateway: Gateway, server: Address
) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await gateway.disconnect("alice")
        await raw.write(UNKNOWN * 50 + frame(CLOSE, (4403).to_bytes(2)))

        assert (await end(raw))[0] == 4403
        assert await raw.reader.read() == b""  # though the clock stands still: it was not aborted


async def test_events_before_the_rate_is_passed_count(gateway: Gateway, server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.write(UNKNOWN * 200)

        events = await raw.events_until_close()
        assert types(events) == ["server.system.ready", *["server.system.error"] * 120]
        assert raw.received_close_code == 4429
