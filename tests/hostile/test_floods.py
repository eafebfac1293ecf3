"""A client that sends too much is closed with a clear code and one log line. Other clients are not affected."""

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


async def read_close(raw: RawSocket) -> tuple[int, bytes]:
    """Read until the close frame; return its code and reason."""
    while True:
        opcode, payload = await raw.next_frame()
        if opcode == CLOSE:
            return int.from_bytes(payload[:2]), payload[2:]


async def read_all(raw: RawSocket) -> bytes:
    """Read until the server ends the connection in any way."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := await raw.reader.read(65536):
            data += chunk
    return bytes(data)


FLOODS = {
    "events of an unknown type": (UNKNOWN, 120, "events"),
    "subscribes": (SUBSCRIBE, 120, "events"),
    "typing": (TYPING, 90, "client.messenger.typing"),
    "pings": (frame(PING, b""), 120, "control frames"),
    "unsolicited pongs": (frame(PONG, b""), 120, "control frames"),
}


@pytest.mark.parametrize(("data", "limit", "kind"), FLOODS.values(), ids=FLOODS.keys())
async def test_exceeding_the_rate_per_minute_closes_with_4429(
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

        assert await read_close(raw) == (4429, f"rate limited: over {limit} {kind} a minute".encode())
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
            # 98 events come back, with two pings. The pong to the heartbeat goes out with the next batch.
            clock_of(gateway).advance(49)
            await raw.write(frame(PONG, b""))

        assert gateway.load.sockets == 1


async def test_solicited_pongs_do_not_count(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice") as alice:
        for _ in range(5):
            clock_of(gateway).advance(25)
            await alice.heard()
        (socket,) = services_of(gateway).hub
        clock_of(gateway).advance(25)
        await (await alice.socket.ping())  # our pong to the heartbeat was sent before this ping is answered

        # Only that one ping counts, and none of the six pongs.
        assert socket.rate_limits.bucket(CONTROL_FRAMES).tokens == 119


async def test_an_idle_socket_has_no_rate_limits(gateway: Gateway, server: Address) -> None:
    async with Client.open(server, "alice", "conversation:c"):
        (socket,) = services_of(gateway).hub
        assert socket.rate_limits is not None
        for _ in range(4):
            clock_of(gateway).advance(25)
            while socket.unanswered_pings:
                await asyncio.sleep(0)

        assert socket.rate_limits is None


async def test_an_app_can_set_the_rate_of_an_event() -> None:
    class Strict(Domain):
        events = MessengerDomain.events

        def register_handlers(self, router: Router) -> None:
            router.on(Typing, self.typing, per_minute=2)

        def typing(self, ctx: Context, message: Envelope[Typing]) -> None: ...

    gateway = make_gateway(domains=[Strict()])
    async with running(gateway) as server, RawSocket.open(server, "alice") as raw:
        await raw.write(TYPING * 3)

        assert await read_close(raw) == (4429, b"rate limited: over 2 client.messenger.typing a minute")
    assert gateway.stats.events_in["client.messenger.typing"] == 2


def test_a_rate_of_zero_is_a_configuration_error() -> None:
    def typing(ctx: Context, message: Envelope[Typing]) -> None: ...

    with pytest.raises(ConfigurationError, match="must be at least 1"):
        Router().on(Typing, typing, per_minute=0)


async def test_each_gateway_has_its_own_rates() -> None:
    gateway = make_gateway(limits=Limits(events_per_minute=3, control_frames_per_minute=2))
    async with running(gateway) as server:
        async with RawSocket.open(server, "alice") as raw:
            await raw.write(SUBSCRIBE * 4)
            assert await read_close(raw) == (4429, b"rate limited: over 3 events a minute")
        async with RawSocket.open(server, "alice") as raw:
            await raw.write(frame(PING, b"") * 3)
            assert await read_close(raw) == (4429, b"rate limited: over 2 control frames a minute")


# --- fragments ------------------------------------------------------------------------------------------------------


def fragments(text: bytes, count: int) -> bytes:
    """Return one message in `count` fragments, most of them empty."""
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


async def test_endless_empty_fragments_are_closed_even_if_the_client_answers_pings(
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


# --- no parsing after a fault ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [frame(PING, b""), UNKNOWN, frame(CONTINUATION, b"", fin=False)])
async def test_bytes_after_a_fault_are_never_parsed(
    server: Address, data: bytes, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        start = frame(TEXT, b"", fin=False) if data[0] == CONTINUATION else b""
        await raw.write(start + data * (256 * 1024 // len(data)))

        assert (await read_close(raw))[0] in (4429, 1009)
        assert await raw.reader.read() == b""
    assert 64 < len(frames) <= 121 + CHUNK_BYTES // len(data)


async def test_a_malformed_event_ends_parsing_too(server: Address, parsed: Iterator[list[object]]) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        await raw.write(frame(TEXT, b"{") * 10_000)

        assert (await read_close(raw))[0] == 4400
    assert len(frames) <= 1 + CHUNK_BYTES // 7


async def test_a_client_that_sends_after_our_close_frame_is_soon_ignored(
    gateway: Gateway, server: Address, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await gateway.disconnect("alice")
        assert (await read_close(raw))[0] == 4403

        await raw.write(frame(PING, b"") * 40_000)
        clock_of(gateway).advance(5)

        assert len(await read_all(raw)) <= 2 * (MAX_IGNORED_FRAMES + CHUNK_BYTES // 6)
    assert len(frames) <= MAX_IGNORED_FRAMES + CHUNK_BYTES // 6


async def test_a_client_that_was_never_admitted_is_soon_ignored_too(
    server: Address, gateway: Gateway, parsed: Iterator[list[object]]
) -> None:
    frames = next(parsed)
    async with RawSocket.upgraded(server) as raw:
        assert (await read_close(raw))[0] == 4401

        await raw.write(UNKNOWN * 10_000)
        clock_of(gateway).advance(5)
        await read_all(raw)
    assert len(frames) <= MAX_IGNORED_FRAMES + CHUNK_BYTES // len(UNKNOWN) + 1


async def test_the_reply_to_our_close_frame_is_found_among_frames_in_flight(gateway: Gateway, server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.next_frame()  # ready
        await gateway.disconnect("alice")
        await raw.write(UNKNOWN * 50 + frame(CLOSE, (4403).to_bytes(2)))

        assert (await read_close(raw))[0] == 4403
        assert await raw.reader.read() == b""  # the clock stands still, so it was not aborted


async def test_events_before_the_limit_is_exceeded_are_handled(gateway: Gateway, server: Address) -> None:
    async with RawSocket.open(server, "alice") as raw:
        await raw.write(UNKNOWN * 200)

        events = await raw.events_until_close()
        assert types(events) == ["server.system.ready", *["server.system.error"] * 120]
        assert raw.received_close_code == 4429
