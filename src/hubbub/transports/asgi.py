"""One WebSocket over plain ASGI: the same connection on any ASGI server, and in in-process test clients.

The server owns the frames here, so it also pings, and finds dead peers by its own settings.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from hubbub.auth.authenticator import Handshake, Identity
from hubbub.close_codes import (
    ABNORMAL_CLOSURE,
    CLOSE_CODES,
    MALFORMED,
    MESSAGE_TOO_BIG,
    NO_STATUS_RECEIVED,
    NORMAL_CLOSURE,
    UNSUPPORTED_DATA,
    CloseCode,
    Reconnect,
)
from hubbub.connections.admission import Admission, Refusal
from hubbub.connections.connection import Connection
from hubbub.frames import fit_close_reason, split_text_frames

logger = logging.getLogger("hubbub.asgi")

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HTTP_RESPONSE: Final = "websocket.http.response"
"""The ASGI extension for refusing an upgrade with a status of ours; without it, the status is always 403."""

_split_text_frames = lru_cache(maxsize=8)(split_text_frames)  # all sockets that hear an event get the same bytes


class AsgiConnection(Connection):
    """A connection that the server pings: here only the token's expiry is watched."""

    __slots__ = ()

    def beat(self) -> None:
        """Do nothing: pings and pongs do not pass through ASGI."""


class AsgiWebSocket:
    """One `websocket` scope, from its upgrade to its end.

    The app's call reads. What is sent goes into a queue for a task that exists only while there is something to send:
    ASGI's `send` waits for slow peers, and the publisher of an event must not wait.

    Args:
        admission: The gateway's.
        receive: The scope's.
        send: The scope's.
    """

    __slots__ = (
        "_admission",
        "_connection",
        "_is_ending",
        "_queue",
        "_read_timeout",
        "_receive",
        "_resumed",
        "_send",
        "_unsent_bytes",
        "_writer",
        "is_disconnected",
    )

    def __init__(self, admission: Admission, receive: Receive, send: Send) -> None:
        self._admission = admission
        self._receive = receive
        self._send = send
        self._connection: Connection | None = None
        self._queue: deque[bytes | Message] = deque()
        self._unsent_bytes = 0  # of frames in the queue, and of those the server has not taken yet
        self._writer: asyncio.Task[None] | None = None  # None at rest
        self._resumed: asyncio.Future[None] | None = None  # None unless reading is paused
        self._read_timeout: asyncio.Timeout | None = None  # expires when we end the socket
        self._is_ending = False
        self.is_disconnected = False
        """Whether the peer has left."""

    async def serve(self, scope: MutableMapping[str, Any]) -> None:
        """Serve the scope until the peer has left: refuse it over HTTP, or accept it and open or close the socket."""
        await self._receive()  # websocket.connect
        self._admission.open_count += 1
        try:
            handshake = handshake_of(scope)
            refusal = self._admission.refusal(handshake)
            if refusal is not None:
                await refuse(refusal, scope, self._send)
                return
            try:
                async with asyncio.timeout(None) as self._read_timeout:
                    self._admission.authenticate(handshake, self)
                    await self._read()
            except TimeoutError:
                if not self._is_ending:
                    raise
            except asyncio.CancelledError:  # some servers end like this; the peer still gets its close code
                self._read_timeout = None
                if self._connection is not None:
                    self._connection.restart()
                await self._finish_writing()
                raise
            self._read_timeout = None
            await self._finish_writing()
        finally:
            self._admission.open_count -= 1
            self._disconnected(ABNORMAL_CLOSURE)

    # --- the opening handshake ----------------------------------------------------------------------------------------

    def admitted(self, identity: Identity) -> None:
        """Accept the upgrade, and register the socket."""
        self._enqueue({"type": "websocket.accept"})
        self._connection = AsgiConnection(self._admission.services, self, identity)

    def refused(self, close: CloseCode) -> None:
        """Accept the upgrade, then close: a browser cannot see an HTTP status."""
        self._enqueue({"type": "websocket.accept"})
        self.close(close.code, close.reason)

    # --- what comes from the peer -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Pass messages to the connection until the socket ends."""
        while not self._is_ending:
            if self._resumed is not None:
                await self._resumed
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                code: int | None = message.get("code")
                self._disconnected(NO_STATUS_RECEIVED if code is None else code)
            elif self._connection is not None:
                self._receive_text(message.get("text"), self._connection)

    def _receive_text(self, text: str | None, connection: Connection) -> None:
        if text is None:
            self._close_for_fault(UNSUPPORTED_DATA, connection)
        elif _is_longer(text, self._admission.services.limits.message_bytes):
            self._close_for_fault(MESSAGE_TOO_BIG, connection)
        else:
            connection.receive(text)

    def _close_for_fault(self, fault: CloseCode, connection: Connection) -> None:
        connection.protocol_failed(fault.code, fault.reason)
        self.close(fault.code, fault.reason)

    def _disconnected(self, code: int) -> None:
        """End the socket: the peer has left, so nothing more can be read or written."""
        self.is_disconnected = self._is_ending = True
        self._queue.clear()
        if self._connection is not None:
            self._connection.disconnected(code)

    # --- what the connection asks for ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queue text frames; over the limit on unsent bytes, close the socket one turn later."""
        self._unsent_bytes += len(data)
        self._enqueue(data)
        if self._unsent_bytes > self._admission.services.limits.unsent_bytes and self._connection is not None:
            asyncio.get_running_loop().call_soon(self._connection.send_buffer_full)

    def close(self, code: int, reason: str) -> None:
        """Queue a close frame, and stop reading; the scope ends when it is sent, within a bounded time.

        Reading has to stop: Granian sends a close frame only while nobody waits to receive.
        """
        if self._is_ending:
            return
        self._enqueue({"type": "websocket.close", "code": code, "reason": fit_close_reason(reason)})
        self._stop_reading()

    fail = close

    def pause_reading(self) -> None:
        """Stop reading: the server's queue fills, and TCP then slows the peer."""
        if self._resumed is None:
            self._resumed = asyncio.get_running_loop().create_future()

    def resume_reading(self) -> None:
        """Read again."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():  # done if the reader was cancelled
            resumed.set_result(None)

    # --- details ------------------------------------------------------------------------------------------------------

    def _enqueue(self, item: bytes | Message) -> None:
        if self.is_disconnected:
            return
        self._queue.append(item)
        if self._writer is None:
            self._writer = self._admission.services.dispatcher.spawn(self._write())

    async def _write(self) -> None:
        """Send what is in the queue, one message at a time."""
        try:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, bytes):
                    for text in _split_text_frames(item):
                        await self._send({"type": "websocket.send", "text": text})
                    self._unsent_bytes -= len(item)
                elif item["type"] == "websocket.close":
                    await self._send_close(item)
                else:
                    await self._send(item)
        except Exception as error:  # noqa: BLE001 - every server has its own for "the peer has left"
            logger.debug("a socket cannot be written to: %r", error)
            self._stop_reading()
            self._disconnected(ABNORMAL_CLOSURE)
        finally:
            self._writer = None

    async def _send_close(self, close: Message) -> None:
        """Send a close frame, with another code if the server does not let apps use those of RFC 6455, like Daphne.

        The other code means the same to a client: whether to come back.
        """
        try:
            await self._send(close)
        except Exception:  # noqa: BLE001 - every server has its own
            may_return = CLOSE_CODES[close["code"]].reconnect is not Reconnect.NEVER
            await self._send({**close, "code": NORMAL_CLOSURE if may_return else MALFORMED.code})

    def _stop_reading(self) -> None:
        """End the reading, wherever it waits."""
        self._is_ending = True
        if self._read_timeout is not None:
            self._read_timeout.reschedule(asyncio.get_running_loop().time())

    async def _finish_writing(self) -> None:
        """Wait until the queue is sent, or cannot be, for `Limits.close_seconds`."""
        writer = self._writer
        if writer is not None:
            services = self._admission.services

            def cancel() -> None:
                writer.cancel()

            timer = services.clock.call_later(services.limits.close_seconds, cancel)
            await asyncio.wait([writer])
            timer.cancel()


async def refuse(refusal: Refusal, scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer an upgrade over HTTP: with the refusal's status if the server supports that, otherwise with 403."""
    if HTTP_RESPONSE not in (scope.get("extensions") or ()):
        await send({"type": "websocket.close"})
        return
    body = f"{refusal.message}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": f"{HTTP_RESPONSE}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{HTTP_RESPONSE}.body", "body": body})


def handshake_of(scope: MutableMapping[str, Any]) -> Handshake:
    """Return what an authenticator sees of a `websocket` scope."""
    client = scope.get("client")
    return Handshake(
        scope["path"],
        scope.get("query_string", b"").decode("latin-1"),
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        None if client is None else (client[0], client[1]),
        "wss" if scope.get("scheme") == "wss" else "ws",
    )


def _is_longer(text: str, limit: int) -> bool:
    """Return whether a text is longer than a limit in bytes of UTF-8; a character takes one to four."""
    if len(text) * 4 <= limit:
        return False
    return len(text) > limit or len(text.encode(errors="surrogatepass")) > limit
