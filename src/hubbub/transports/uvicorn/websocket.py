"""One WebSocket on a transport of uvicorn's: turns bytes into calls of a connection, and its calls into bytes."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.typing import BytesLike

from hubbub.auth.authenticator import Handshake, Identity
from hubbub.clock import Timer
from hubbub.close_codes import INVALID_DATA, MESSAGE_TOO_BIG, PROTOCOL_ERROR, UNSUPPORTED_DATA, CloseCode
from hubbub.connections.admission import Admission
from hubbub.connections.connection import Connection, State
from hubbub.frames import FrameCodec, fit_close_reason, is_pong, parse_text_frame
from hubbub.transports.uvicorn.upgrade import Upgrade, refusal_response

CHUNK_BYTES: Final = 4096
"""Bytes that are parsed before the frames in them are looked at, so that little after a fault is ever parsed.

Signals are shorter, so they are parsed as they come. A chunk full of the smallest frames takes some 3 ms.
"""

MAX_IGNORED_FRAMES: Final = 256
"""Frames that a peer may still send after our close frame, since they were on the way. Then parsing ends."""

TOO_MANY_FRAGMENTS: Final = MESSAGE_TOO_BIG._replace(reason="too many fragments")


class UvicornWebSocket(asyncio.Protocol):
    """The asyncio protocol of one WebSocket, from its upgrade to its end. At rest it has no task, queue or timer."""

    __slots__ = (
        "_close_timer",
        "_codec",
        "_fragments",
        "_response",
        "admission",
        "connection",
        "server_state",
        "transport",
        "write",
    )

    def __init__(self, admission: Admission, server_state: ServerState, transport: asyncio.Transport) -> None:
        self.admission = admission
        self.server_state = server_state
        self.transport = transport
        self.connection: Connection | None = None
        self._codec: FrameCodec | None = None  # None at rest
        self._fragments: list[BytesLike] | None = None  # of a message in progress
        self._close_timer: Timer | None = None
        self._response = b""  # to the upgrade, until it is sent
        self.write = transport.write
        transport.set_write_buffer_limits(high=admission.services.limits.unsent_bytes)
        server_state.connections.add(cast(Any, self))
        admission.open_count += 1

    # --- the opening handshake ----------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        upgrade: Upgrade,
        admission: Admission,
        transport: asyncio.Transport,
        server_state: ServerState,
        config: Config,
    ) -> Self:
        """Take over the transport of an upgrade to the gateway's path, and answer the upgrade."""
        websocket = cls(admission, server_state, transport)
        transport.set_protocol(websocket)
        websocket._answer(upgrade, upgrade.handshake(transport, config))
        return websocket

    def _answer(self, upgrade: Upgrade, handshake: Handshake) -> None:
        """Answer with an HTTP error, or with 101 and either `ready` or a close frame that says why not."""
        refusal = self.admission.refusal(handshake)
        if refusal is not None:
            self.write(refusal_response(refusal))
            self.transport.close()
            return
        status, response = upgrade.response()
        if status != 101:
            self.admission.rejected(status, handshake)
            self.write(response)
            self.transport.close()
            return
        self._response = response
        self.admission.authenticate(handshake, self)

    def admitted(self, identity: Identity) -> None:
        """Register the socket, and answer the upgrade together with `ready`."""
        self.connection = Connection(self.admission.services, self, identity, preamble=self.take_response())

    def refused(self, close: CloseCode) -> None:
        """Accept the upgrade, then close: a browser cannot see an HTTP status."""
        self.write(self.take_response())
        self.close(close.code, close.reason)

    @property
    def is_disconnected(self) -> bool:
        """Whether the transport is closed or closing."""
        return self.transport.is_closing()

    def take_response(self) -> bytes:
        """Return the response to the upgrade, and keep it no longer."""
        response, self._response = self._response, b""
        return response

    # --- what comes from the network ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and pass what they say to the connection."""
        connection = self.connection
        if connection is None and self._close_timer is None:
            self.transport.abort()  # RFC 6455 section 4.1: a client waits for the response before it sends
            return
        if self._codec is None and connection is not None and connection.state is State.READY:
            if is_pong(data):
                connection.pong()  # borrowing a codec for it would be a third of what a socket at rest costs
                return
            text = parse_text_frame(data, self.admission.services.limits.message_bytes)
            if text is not None:
                connection.receive(text)
                return
        codecs = self.admission.services.codecs
        codec = self._codec = self._codec or codecs.borrow()
        for start in range(0, len(data), CHUNK_BYTES):
            codec.receive_data(data[start : start + CHUNK_BYTES])  # no copy where one chunk is everything
            self._receive_frames(codec)
            if codec.eof_sent:
                break
        self._send_from(codec)
        if codecs.give_back(codec):
            self._codec = None

    def eof_received(self) -> None:
        """Limit the time for writing what is left: the peer has half-closed, and then the transport closes."""
        self._abort_later()

    def pause_writing(self) -> None:
        """Close the socket one turn later: its send buffer is over the limit. This is called from within a write."""
        if self.connection is not None:
            asyncio.get_running_loop().call_soon(self.connection.send_buffer_full)

    def resume_writing(self) -> None:
        """Do nothing: a socket over the limit is closed, not paused."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the socket holds: its transport is closed."""
        self.server_state.connections.discard(cast(Any, self))
        self.admission.open_count -= 1
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self.connection is not None:
            self.connection.disconnected()

    # --- what the connection asks for ---------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and wait for the peer's within `Limits.close_seconds`."""
        if self.transport.is_closing():
            self._abort_later()
            return
        codec = self._codec = self._codec or self.admission.services.codecs.borrow()
        if codec.state is OPEN:
            codec.send_close(code, fit_close_reason(reason))
        self._send_from(codec)
        self._abort_later()

    def fail(self, code: int, reason: str) -> None:
        """Send a close frame for a fault of the peer, close our side, and ignore what the peer still sends."""
        if self.transport.is_closing():
            self._abort_later()
            return
        codec = self._codec = self._codec or self.admission.services.codecs.borrow()
        if codec.state is OPEN:
            codec.fail(code, fit_close_reason(reason))
        self._send_from(codec)

    def pause_reading(self) -> None:
        """Stop reading from the peer."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the peer again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def shutdown(self) -> None:
        """Close the socket: uvicorn stops."""
        if self.connection is not None:
            self.connection.restart()
        else:
            self.transport.close()

    # --- details ------------------------------------------------------------------------------------------------------

    def _receive_frames(self, codec: FrameCodec) -> None:
        """Pass on the frames that the codec has parsed; fail at the first fault (RFC 6455 section 7.1.7)."""
        for frame in cast(list[Frame], codec.events_received()):
            connection = self.connection
            if connection is None or connection.state is not State.READY:
                codec.ignored_frames += 1
                if codec.ignored_frames > MAX_IGNORED_FRAMES and not codec.eof_sent:
                    codec.fail(PROTOCOL_ERROR.code)  # the close frame has been sent: this only ends the parsing
                continue
            fault = self.receive_frame(frame, connection)
            if fault is not None:
                if codec.state is OPEN:
                    codec.fail(fault.code, fault.reason)
                break

    def receive_frame(self, frame: Frame, connection: Connection) -> CloseCode | None:
        """Pass one frame on; return the code to fail with if it is one that the codec allows and we do not."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if self._fragments is None:
                if frame.fin:
                    return _receive_text(frame.data, connection)
                self._fragments = []
            self._fragments.append(frame.data)
            if len(self._fragments) > self.admission.services.limits.fragments_per_message:
                return TOO_MANY_FRAGMENTS
            if frame.fin:
                message, self._fragments = b"".join(self._fragments), None
                return _receive_text(message, connection)
        elif frame.opcode is Opcode.PONG:
            connection.pong()
        elif frame.opcode is Opcode.PING:
            connection.ping()
        elif frame.opcode is Opcode.BINARY:
            return UNSUPPORTED_DATA
        return None

    def _send_from(self, codec: FrameCodec) -> None:
        """Write what the codec has to send, and end the connection if the codec says so."""
        connection = self.connection
        peer_closed = codec.close_rcvd is not None and codec.parser_exc is None
        failed = codec.eof_sent and not peer_closed and self._close_timer is None
        if failed and connection is not None and codec.close_sent is not None:
            connection.protocol_failed(codec.close_sent.code, codec.close_sent.reason)
        data = b"".join(codec.data_to_send())
        if data:
            self.write(data)
        if peer_closed:
            if connection is not None and codec.close_rcvd is not None:
                connection.disconnected(codec.close_rcvd.code)
            self.transport.close()
            self._abort_later()
        elif failed:
            # Bytes of the peer that we never read would turn our close into a reset, and the close frame would be lost.
            # So only our side is closed, and what still arrives is read and thrown away for a while.
            # TLS has no half-close, but reads on until the peer has closed as well.
            self._abort_later()
            if self.transport.can_write_eof():
                self.transport.write_eof()
            else:
                self.transport.close()

    def _abort_later(self) -> None:
        """Abort the transport after `Limits.close_seconds`, unless it closes before."""
        self.resume_reading()
        if self._close_timer is None:
            services = self.admission.services
            self._close_timer = services.clock.call_later(services.limits.close_seconds, self.transport.abort)


def _receive_text(message: BytesLike, connection: Connection) -> CloseCode | None:
    try:
        text = str(message, "utf-8")
    except UnicodeDecodeError:
        return INVALID_DATA
    connection.receive(text)
    return None
