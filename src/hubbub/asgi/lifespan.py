"""A gateway starts before its app starts, and stops before it stops; where a server tells neither, it starts late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Protocol

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.transports.asgi import ASGIApp, Message, Receive, Send

logger = logging.getLogger("hubbub.gateway")


class Startable(Protocol):
    """What has a life beside an app's."""

    @property
    def admission(self) -> Admission | None:
        """Gives what transports serve; None where it does not run in this event loop."""

    async def start(self) -> Admission:
        """Starts it; gives what transports serve."""

    async def stop(self) -> None:
        """Stops it; does nothing where it does not run."""


class Lifespan:
    """One ASGI lifespan scope, with a gateway's in it; also around an app that has none of its own."""

    def __init__(self, gateway: Startable, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._send = send
        self._has_asked = False
        self._has_answered = False
        self._has_started = False
        self._failure: Exception | None = None

    async def run(self, app: ASGIApp) -> None:
        """Lets the app serve the scope, and serves it in the app's place where it does not."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception as error:
            if self._failure is not None:
                await self._fail(self._failure)
                raise
            if self._has_answered:
                await self._gateway.stop()
                raise
            logger.debug("the app has no lifespan of its own: %r", error)
        except asyncio.CancelledError:
            if self._has_started:
                await self._gateway.stop()
            raise
        if not self._has_answered:
            await self._stand_in()

    async def receive(self) -> Message:
        """Gives the app the server's next message, after acting on it."""
        message = await self._receive()
        self._has_asked = True
        if message["type"] == "lifespan.startup":
            try:
                self._scope.setdefault("state", {})[STATE_KEY] = await self._gateway.start()
                self._has_started = True
            except Exception as error:
                self._failure = error
                raise
        elif message["type"] == "lifespan.shutdown":
            await self._gateway.stop()
        return message

    async def send(self, message: Message) -> None:
        """Passes the app's answer on."""
        self._has_answered = True
        await self._send(message)

    async def _fail(self, error: Exception) -> None:
        if not self._has_answered:
            await self._send({"type": "lifespan.startup.failed", "message": f"Hubbub: {error}"})

    async def _stand_in(self) -> None:
        if not self._has_asked:
            await self.receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self.receive()
        await self._send({"type": "lifespan.shutdown.complete"})


class LateStart:
    """Starts a gateway at the first scope that needs it, on a server without lifespan. Nobody then tells it to stop."""

    def __init__(self, gateway: Startable) -> None:
        self._gateway = gateway
        self._starting: asyncio.Task[Admission] | None = None

    async def admission(self) -> Admission:
        """Gives the endpoint, and starts it once for everybody who comes meanwhile.

        Raises what ``start`` raises: ConfigurationError where the gateway runs in another event loop, for instance.
        """
        running = self._gateway.admission
        if running is not None:
            return running
        loop = asyncio.get_running_loop()
        if self._starting is None or self._starting.done() or self._starting.get_loop() is not loop:
            self._starting = loop.create_task(self._gateway.start())
        return await asyncio.shield(self._starting)
