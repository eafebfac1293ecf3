"""One WebSocket on a raw transport: turns bytes into a connection's inputs, and its outputs into bytes."""

from __future__ import annotations

import asyncio
from typing import Any, Final, cast

from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.typing import BytesLike

from hubbub.auth.authenticator import Handshake, Identity
from hubbub.clock import Timer
from hubbub.close_codes import INVALID_DATA, MESSAGE_TOO_BIG, PROTOCOL_ERROR, UNSUPPORTED_DATA, CloseCode
from hubbub.connections.admission import Admission
from hubbub.connections.connection import Connection, State
from hubbub.frames import FrameCodec, is_pong, text_in
from hubbub.transports.uvicorn.upgrade import Upgrade, refused

MAX_REASON_BYTES: Final = 123
"""RFC 6455 section 5.5: a control frame carries 125 bytes, two of them the code."""

SLICE: Final = 4096
"""Bytes that are taken apart before what they hold is looked at: what follows a fault is then never parsed.

Signals are shorter, so they are fed as they come. A slice of the smallest frames takes some 3 ms.
"""

MOST_IGNORED: Final = 256
"""Frames that a peer may still send after our close frame, as it had them under way. Then nothing is looked at."""

TOO_MANY_FRAGMENTS: Final = MESSAGE_TOO_BIG._replace(reason="too many fragments")


class SocketProtocol(asyncio.Protocol):
    """Is one WebSocket's asyncio protocol, from its upgrade to its end."""

    __slots__ = (
        "_admission",
        "_close_timer",
        "_codec",
        "_connection",
        "_fragments",
        "_response",
        "_server_state",
        "_transport",
        "write",
    )

    def __init__(self, admission: Admission, server_state: ServerState, transport: asyncio.Transport) -> None:
        self._admission = admission
        self._server_state = server_state
        self._transport = transport
        self._connection: Connection | None = None
        self._codec: FrameCodec | None = None  # None at rest
        self._fragments: list[BytesLike] | None = None  # of a message in progress
        self._close_timer: Timer | None = None
        self._response = b""  # to the upgrade, until it is sent
        self.write = transport.write
        transport.set_write_buffer_limits(high=admission.services.limits.unsent_bytes)
        server_state.connections.add(cast(Any, self))
        admission.open_count += 1

    # --- the opening handshake ----------------------------------------------------------------------------------------

    def handshake(self, upgrade: Upgrade, handshake: Handshake) -> None:
        """Answers an upgrade: an HTTP error, or 101 and either ``ready`` or the close code that says why not."""
        refusal = self._admission.refusal(handshake)
        if refusal is not None:
            self.write(refused(refusal))
            self._transport.close()
            return
        status, response = upgrade.answer()
        if status != 101:
            self._admission.rejected(status, handshake)
            self.write(response)
            self._transport.close()
            return
        self._response = response
        self._admission.authenticate(handshake, self)

    def admitted(self, identity: Identity) -> None:
        """Is told who opens the socket: registers it, and answers the upgrade together with ``ready``."""
        self._connection = Connection(self._admission.services, self, identity, preamble=self._take_response())

    def refused(self, close: CloseCode) -> None:
        """Is told that nobody opens it. Accepts, then closes: a browser cannot see an HTTP status."""
        self.write(self._take_response())
        self.close(close.code, close.reason)

    @property
    def is_gone(self) -> bool:
        """Tells whether the peer has left meanwhile."""
        return self._transport.is_closing()

    def _take_response(self) -> bytes:
        response, self._response = self._response, b""
        return response

    # --- what comes from the network ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Feeds the codec, and the connection with what it makes of the bytes."""
        connection = self._connection
        if connection is None and self._close_timer is None:
            self._transport.abort()  # RFC 6455 section 4.1: a client waits for the response before it sends
            return
        if self._codec is None and connection is not None and connection.state is State.READY:
            if is_pong(data):
                connection.pong()  # a third of what a socket at rest costs would be to borrow a codec for it
                return
            text = text_in(data, self._admission.services.limits.message_bytes)
            if text is not None:
                connection.receive(text)
                return
        codecs = self._admission.services.codecs
        codec = self._codec = self._codec or codecs.borrow()
        for start in range(0, len(data), SLICE):
            codec.receive_data(data[start : start + SLICE])  # a slice that is everything is no copy
            self._receive_all(codec)
            if codec.eof_sent:
                break
        self._send_from(codec)
        if codecs.give_back(codec):
            self._codec = None

    def eof_received(self) -> None:
        """Is told that the peer has half-closed; the transport then closes, as soon as it has written everything."""
        self._end_soon()

    def pause_writing(self) -> None:
        """Is told that the unsent bytes have passed the limit. Called from within a write, so it acts a turn later."""
        if self._connection is not None:
            asyncio.get_running_loop().call_soon(self._connection.send_buffer_full)

    def resume_writing(self) -> None:
        """Is told that the unsent bytes have gone down again."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Is told that the transport is gone, whoever ended it."""
        self._server_state.connections.discard(cast(Any, self))
        self._admission.open_count -= 1
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._connection is not None:
            self._connection.disconnected()

    # --- what the connection asks for ---------------------------------------------------------------------------------

    def close(self, code: int, reason: str) -> None:
        """Sends a close frame and waits for the peer's, but only so long."""
        if self._transport.is_closing():
            self._end_soon()
            return
        codec = self._codec = self._codec or self._admission.services.codecs.borrow()
        if codec.state is OPEN:
            codec.send_close(code, _fitting(reason))
        self._send_from(codec)
        self._end_soon()

    def fail(self, code: int, reason: str) -> None:
        """Sends a close frame and closes our side, for a fault of the peer: it may answer, but nobody looks."""
        if self._transport.is_closing():
            self._end_soon()
            return
        codec = self._codec = self._codec or self._admission.services.codecs.borrow()
        if codec.state is OPEN:
            codec.fail(code, _fitting(reason))
        self._send_from(codec)

    def pause_reading(self) -> None:
        """Stops reading from the peer."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads from the peer again."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def shutdown(self) -> None:
        """Is called by uvicorn when the server stops."""
        if self._connection is not None:
            self._connection.restart()
        else:
            self._transport.close()

    # --- details ------------------------------------------------------------------------------------------------------

    def _receive_all(self, codec: FrameCodec) -> None:
        """Takes in what the codec has parsed; fails the connection at the first fault (RFC 6455 section 7.1.7)."""
        for frame in cast(list[Frame], codec.events_received()):
            connection = self._connection
            if connection is None or connection.state is not State.READY:
                codec.ignored += 1
                if codec.ignored > MOST_IGNORED and not codec.eof_sent:
                    codec.fail(PROTOCOL_ERROR.code)  # the close frame has been sent: this only ends the parsing
                continue
            fault = self._receive(frame, connection)
            if fault is not None:
                if codec.state is OPEN:
                    codec.fail(fault.code, fault.reason)
                break

    def _receive(self, frame: Frame, connection: Connection) -> CloseCode | None:
        """Takes one frame in; gives the code to fail with where it is one that the codec lets pass and we do not."""
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            if self._fragments is None:
                if frame.fin:
                    return _receive_text(frame.data, connection)
                self._fragments = []
            self._fragments.append(frame.data)
            if len(self._fragments) > self._admission.services.limits.fragments_per_message:
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
        """Writes what the codec wants to send, and ends the connection where it says so."""
        connection = self._connection
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
            self._transport.close()
            self._end_soon()
        elif failed:
            # Bytes of the peer that we never read would turn our close into a reset, and lose the close frame.
            # So only our side is closed, and what still arrives is read and thrown away for a while.
            # TLS has no half-close, but reads on until the peer has closed as well.
            self._end_soon()
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:
                self._transport.close()

    def _end_soon(self) -> None:
        self.resume_reading()
        if self._close_timer is None:
            services = self._admission.services
            self._close_timer = services.clock.call_later(services.limits.close_seconds, self._transport.abort)


def _receive_text(message: BytesLike, connection: Connection) -> CloseCode | None:
    try:
        text = str(message, "utf-8")
    except UnicodeDecodeError:
        return INVALID_DATA
    connection.receive(text)
    return None


def _fitting(reason: str) -> str:
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
