"""One WebSocket over plain ASGI: the same connection on any ASGI server, and in in-process test clients.

The server owns the frames here, so it owns the ping as well: it finds dead peers by its own settings, and tells nobody.
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
    UNSUPPORTED_DATA,
    CloseCode,
    Reconnect,
)
from hubbub.connections.admission import Admission, Refusal
from hubbub.connections.connection import Connection
from hubbub.frames import texts_of
from hubbub.transports.uvicorn.websocket import MAX_REASON_BYTES

logger = logging.getLogger("hubbub.asgi")

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HTTP_RESPONSE: Final = "websocket.http.response"
"""The extension of ASGI by which an upgrade is refused with a status of ours; without it, it is always 403."""

NORMAL_CLOSURE: Final = 1000

_texts = lru_cache(maxsize=8)(texts_of)  # everybody who hears an event is handed the same bytes


class AsgiConnection(Connection):
    """A connection whose heartbeat is the server's: only its token is watched."""

    __slots__ = ()

    def beat(self) -> None:
        """Sends nothing and misses nothing: pings and pongs do not pass through ASGI."""


class AsgiSocket:
    """Is one ``websocket`` scope, from its upgrade to its end.

    The app's call reads. What is sent waits in a queue for a task that exists only while there is something to send:
    sending is a call that waits for slow peers, and whoever publishes must not.
    """

    __slots__ = (
        "_admission",
        "_connection",
        "_is_ending",
        "_paused",
        "_queue",
        "_reading",
        "_receive",
        "_send",
        "_unsent",
        "_writer",
        "is_gone",
    )

    def __init__(self, admission: Admission, receive: Receive, send: Send) -> None:
        self._admission = admission
        self._receive = receive
        self._send = send
        self._connection: Connection | None = None
        self._queue: deque[bytes | Message] = deque()
        self._unsent = 0  # bytes of frames in the queue, and of what the server has not taken yet
        self._writer: asyncio.Task[None] | None = None  # None at rest
        self._paused: asyncio.Future[None] | None = None  # None while we read
        self._reading: asyncio.Timeout | None = None  # runs out when we end the socket
        self._is_ending = False
        self.is_gone = False
        """Tells whether the peer has left."""

    async def serve(self, scope: MutableMapping[str, Any]) -> None:
        """Serves the scope until the peer has gone; refuses it over HTTP, or lets somebody in, or closes it."""
        await self._receive()  # websocket.connect
        self._admission.open_count += 1
        try:
            handshake = handshake_of(scope)
            refusal = self._admission.refusal(handshake)
            if refusal is not None:
                await refuse(refusal, scope, self._send)
                return
            try:
                async with asyncio.timeout(None) as self._reading:
                    self._admission.authenticate(handshake, self)
                    await self._read()
            except TimeoutError:
                if not self._is_ending:
                    raise
            except asyncio.CancelledError:  # some servers end like this, and peers had better know why
                self._reading = None
                if self._connection is not None:
                    self._connection.restart()
                await self._written()
                raise
            self._reading = None
            await self._written()
        finally:
            self._admission.open_count -= 1
            self._gone(ABNORMAL_CLOSURE)

    # --- the opening handshake ----------------------------------------------------------------------------------------

    def admitted(self, identity: Identity) -> None:
        """Is told who opens the socket: accepts, and registers it."""
        self._put({"type": "websocket.accept"})
        self._connection = AsgiConnection(self._admission.services, self, identity)

    def refused(self, close: CloseCode) -> None:
        """Is told that nobody opens it. Accepts, then closes: a browser cannot see an HTTP status."""
        self._put({"type": "websocket.accept"})
        self.close(close.code, close.reason)

    # --- what comes from the peer -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Feeds the connection until the peer has gone, or is to go."""
        while not self._is_ending:
            if self._paused is not None:
                await self._paused
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                code: int | None = message.get("code")
                self._gone(NO_STATUS_RECEIVED if code is None else code)
            elif self._connection is not None:
                self._take(message.get("text"), self._connection)

    def _take(self, text: str | None, connection: Connection) -> None:
        if text is None:
            self._reject(UNSUPPORTED_DATA, connection)
        elif _is_over(text, self._admission.services.limits.message_bytes):
            self._reject(MESSAGE_TOO_BIG, connection)
        else:
            connection.receive(text)

    def _reject(self, fault: CloseCode, connection: Connection) -> None:
        connection.protocol_failed(fault.code, fault.reason)
        self.close(fault.code, fault.reason)

    def _gone(self, code: int) -> None:
        """Notes that the peer has left: nothing is read, and nothing can be written."""
        self.is_gone = self._is_ending = True
        self._queue.clear()
        if self._connection is not None:
            self._connection.disconnected(code)

    # --- what the connection asks for ---------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Queues the text frames in ``data``; over the limit on unsent bytes, the connection is told a turn later."""
        self._unsent += len(data)
        self._put(data)
        if self._unsent > self._admission.services.limits.unsent_bytes and self._connection is not None:
            asyncio.get_running_loop().call_soon(self._connection.send_buffer_full)

    def close(self, code: int, reason: str) -> None:
        """Queues a close frame, and reads no more; the scope ends when it is sent, within a bounded time.

        Granian sends a close frame only when nobody waits to receive.
        """
        if self._is_ending:
            return
        fitting = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        self._put({"type": "websocket.close", "code": code, "reason": fitting})
        self._end()

    fail = close

    def pause_reading(self) -> None:
        """Reads no more: the server's queue fills, and TCP then slows the peer."""
        if self._paused is None:
            self._paused = asyncio.get_running_loop().create_future()

    def resume_reading(self) -> None:
        """Reads again."""
        paused, self._paused = self._paused, None
        if paused is not None and not paused.done():  # done where whoever waited was cancelled
            paused.set_result(None)

    # --- details ------------------------------------------------------------------------------------------------------

    def _put(self, item: bytes | Message) -> None:
        if self.is_gone:
            return
        self._queue.append(item)
        if self._writer is None:
            self._writer = self._admission.services.dispatcher.spawn(self._write())

    async def _write(self) -> None:
        """Hands the queue to the server, one message at a time."""
        try:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, bytes):
                    for text in _texts(item):
                        await self._send({"type": "websocket.send", "text": text})
                    self._unsent -= len(item)
                elif item["type"] == "websocket.close":
                    await self._send_close(item)
                else:
                    await self._send(item)
        except Exception as error:  # noqa: BLE001 - every server has its own for "the peer has gone"
            logger.debug("a socket cannot be written to: %r", error)
            self._end()
            self._gone(ABNORMAL_CLOSURE)
        finally:
            self._writer = None

    async def _send_close(self, close: Message) -> None:
        """Sends a close frame, with another code where the server leaves those of RFC 6455 to itself, as Daphne does.

        The other code means the same to a client: whether to come back.
        """
        try:
            await self._send(close)
        except Exception:  # noqa: BLE001 - every server has its own
            may_return = CLOSE_CODES[close["code"]].reconnect is not Reconnect.NEVER
            await self._send({**close, "code": NORMAL_CLOSURE if may_return else MALFORMED.code})

    def _end(self) -> None:
        """Ends the reading, wherever it waits."""
        self._is_ending = True
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())

    async def _written(self) -> None:
        """Waits until everything is sent, or cannot be: for so long as a peer has to answer a close frame."""
        writer = self._writer
        if writer is not None:
            services = self._admission.services

            def cancel() -> None:
                writer.cancel()

            timer = services.clock.call_later(services.limits.close_seconds, cancel)
            await asyncio.wait([writer])
            timer.cancel()


async def refuse(refusal: Refusal, scope: MutableMapping[str, Any], send: Send) -> None:
    """Answers an upgrade over HTTP: with the refusal's status where the server lets an app do that, else with 403."""
    if HTTP_RESPONSE not in (scope.get("extensions") or ()):
        await send({"type": "websocket.close"})
        return
    body = f"{refusal.message}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": f"{HTTP_RESPONSE}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{HTTP_RESPONSE}.body", "body": body})


def handshake_of(scope: MutableMapping[str, Any]) -> Handshake:
    """Gives what an authenticator sees of a ``websocket`` scope."""
    client = scope.get("client")
    return Handshake(
        scope["path"],
        scope.get("query_string", b"").decode("latin-1"),
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        None if client is None else (client[0], client[1]),
        "wss" if scope.get("scheme") == "wss" else "ws",
    )


def _is_over(text: str, limit: int) -> bool:
    """Tells whether a text is over so many bytes of UTF-8; a character has one to four of them."""
    if len(text) * 4 <= limit:
        return False
    return len(text) > limit or len(text.encode(errors="surrogatepass")) > limit
