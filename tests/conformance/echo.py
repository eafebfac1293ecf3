"""An echo server on Hubbub's own transport, for testers of RFC 6455 that know nothing of envelopes.

Handshake, frames, fragments, pings and closing are the product's. Only what a message means is replaced: the product
refuses binary (1003) and text that is no envelope (4400), and greets with ``ready``.
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
from hubbub.transports.uvicorn.protocol import WebSocketProtocol
from hubbub.transports.uvicorn.websocket import SocketProtocol

MEBIBYTE: Final = 1024 * 1024

#: Testers send what no client of ours would: the limits are not what they are here to find.
GENEROUS: Final = Limits(
    message_bytes=16 * MEBIBYTE,
    unsent_bytes=64 * MEBIBYTE,
    fragments_per_message=MEBIBYTE,
    events_per_minute=MEBIBYTE,
    control_frames_per_minute=MEBIBYTE,
    handshake_burst=MEBIBYTE,
)


class EchoConnection(Connection):
    """A registered socket that greets nobody, and sends back what it hears."""

    __slots__ = ()

    def _open(self) -> None:
        assert isinstance(self.pending, bytes)
        response, _, _ = self.pending.partition(b"\r\n\r\n")
        self.pending = response + b"\r\n\r\n"
        super()._open()

    def receive(self, text: str) -> None:
        self.echo(text_frame(text.encode()))

    def echo(self, frame: bytes) -> None:
        self._services.batcher.put(frame, (self,))


class EchoSocket(SocketProtocol):
    """The transport, which here lets binary messages pass."""

    _binary: list[BytesLike] | None = None  # the fragments of one in progress

    def admitted(self, identity: Identity) -> None:
        self._connection = EchoConnection(self._admission.services, self, identity, preamble=self._take_response())

    def _receive(self, frame: Frame, connection: Connection) -> CloseCode | None:
        if frame.opcode is not Opcode.BINARY and (frame.opcode is not Opcode.CONT or self._binary is None):
            return super()._receive(frame, connection)
        self._binary = [*(self._binary or []), frame.data]
        if frame.fin:
            message, self._binary = b"".join(self._binary), None
            assert isinstance(connection, EchoConnection)
            connection.echo(Frame(Opcode.BINARY, message).serialize(mask=False))
        return None


class EchoProtocol(WebSocketProtocol):
    """What uvicorn hands upgrades to."""

    socket_class = EchoSocket


@contextlib.asynccontextmanager
async def serve_echo() -> AsyncIterator[Address]:
    """Serves echoes at ``/ws`` on a free port, to everybody."""
    app = FastAPI()
    # Neither pings nor presence come between a tester and what it waits for.
    Gateway(authenticate=_welcome, limits=GENEROUS, heartbeat_interval=3600.0, presence_tick=3600.0).attach(app)
    async with serve(app, ws=EchoProtocol) as address:
        yield address


def _welcome(handshake: Handshake) -> Identity:
    return Identity("tester")


async def main() -> None:
    """Serves until it is interrupted."""
    async with serve_echo() as address:
        print(f"echoing at {address.ws}/ws", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
