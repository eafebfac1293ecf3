"""An echo server on Hubbub's own transport, for RFC 6455 test suites that do not know envelopes.

Handshake, frames, fragments, pings and closing are the product's. Only the handling of messages is replaced: the
product refuses binary (1003) and text that is not an envelope (4400), and sends `ready` first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from fastapi import FastAPI
from websockets.frames import Frame, Opcode
from websockets.typing import BytesLike

from hubbub import Gateway, Handshake, Identity, Limits
from hubbub.close_codes import CloseCode
from hubbub.connections.connection import Connection
from hubbub.frames import text_frame
from hubbub.testing import Address, serve
from hubbub.transports.uvicorn.websocket import UvicornWebSocket
from hubbub.transports.uvicorn.websocket_protocol import WebSocketProtocol

MEBIBYTE: Final = 1024 * 1024

GENEROUS: Final = Limits(
    message_bytes=16 * MEBIBYTE,
    unsent_bytes=64 * MEBIBYTE,
    fragments_per_message=MEBIBYTE,
    events_per_minute=MEBIBYTE,
    control_frames_per_minute=MEBIBYTE,
    handshake_burst=MEBIBYTE,
)
"""The test suites send more than any of our clients would, and do not test the limits."""


class EchoConnection(Connection):
    """A registered socket that sends no `ready` and echoes what it receives."""

    __slots__ = ()

    def register(self) -> None:
        assert isinstance(self.pending, bytes)
        response, _, _ = self.pending.partition(b"\r\n\r\n")
        self.pending = response + b"\r\n\r\n"
        super().register()

    def receive(self, text: str) -> None:
        self.echo(text_frame(text.encode()))

    def echo(self, frame: bytes) -> None:
        self.services.batcher.put(frame, (self,))


class EchoWebSocket(UvicornWebSocket):
    """The product's WebSocket, except that it accepts binary messages."""

    _binary: list[BytesLike] | None = None  # the fragments of one in progress

    def admitted(self, identity: Identity) -> None:
        self.connection = EchoConnection(self.admission.services, self, identity, preamble=self.take_response())

    def receive_frame(self, frame: Frame, connection: Connection) -> CloseCode | None:
        if frame.opcode is not Opcode.BINARY and (frame.opcode is not Opcode.CONT or self._binary is None):
            return super().receive_frame(frame, connection)
        self._binary = [*(self._binary or []), frame.data]
        if frame.fin:
            message, self._binary = b"".join(self._binary), None
            assert isinstance(connection, EchoConnection)
            connection.echo(Frame(Opcode.BINARY, message).serialize(mask=False))
        return None


class EchoProtocol(WebSocketProtocol):
    """The class for uvicorn's `ws` option."""

    socket_class = EchoWebSocket


@contextlib.asynccontextmanager
async def serve_echo() -> AsyncIterator[Address]:
    """Serve echoes at `/ws` on a free port, to any client."""
    app = FastAPI()
    # Pings and presence events would arrive between the frames that a test suite expects.
    Gateway(authenticate=_authenticate, limits=GENEROUS, heartbeat_interval=3600.0, presence_tick=3600.0).attach(app)
    async with serve(app, ws=EchoProtocol) as address:
        yield address


def _authenticate(handshake: Handshake) -> Identity:
    return Identity("tester")


async def main() -> None:
    """Serve until interrupted."""
    async with serve_echo() as address:
        print(f"echoing at {address.ws}/ws", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
