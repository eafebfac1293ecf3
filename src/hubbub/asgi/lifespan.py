"""Starts a gateway before its app starts, and stops it before the app stops; without lifespan, starts it late."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any, Protocol

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.transports.asgi import ASGIApp, Message, Receive, Send

logger = logging.getLogger("hubbub.gateway")


class Startable(Protocol):
    """What the lifespan needs of a gateway."""

    @property
    def admission(self) -> Admission | None:
        """What transports ask for each upgrade; None if the gateway does not run in this event loop."""

    async def start(self) -> Admission:
        """Start the gateway, and return its admission."""

    async def stop(self) -> None:
        """Stop the gateway; do nothing if it does not run."""


class Lifespan:
    """One ASGI lifespan scope, with which a gateway starts and stops, even if the app itself has no lifespan."""

    def __init__(self, gateway: Startable, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._send = send
        self._app_has_received = False
        self._app_has_answered = False
        self._is_gateway_started = False
        self._start_error: Exception | None = None

    async def run(self, app: ASGIApp) -> None:
        """Let the app serve the scope; serve it here if the app does not."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception as error:
            if self._start_error is not None:
                await self._report_start_error(self._start_error)
                raise
            if self._app_has_answered:
                await self._gateway.stop()
                raise
            logger.debug("the app has no lifespan of its own: %r", error)
        except asyncio.CancelledError:
            if self._is_gateway_started:
                await self._gateway.stop()
            raise
        if not self._app_has_answered:
            await self._serve_without_app()

    async def receive(self) -> Message:
        """Return the server's next message to the app, after starting or stopping the gateway for it."""
        message = await self._receive()
        self._app_has_received = True
        if message["type"] == "lifespan.startup":
            try:
                self._scope.setdefault("state", {})[STATE_KEY] = await self._gateway.start()
                self._is_gateway_started = True
            except Exception as error:
                self._start_error = error
                raise
        elif message["type"] == "lifespan.shutdown":
            await self._gateway.stop()
        return message

    async def send(self, message: Message) -> None:
        """Pass the app's answer on."""
        self._app_has_answered = True
        await self._send(message)

    async def _report_start_error(self, error: Exception) -> None:
        if not self._app_has_answered:
            await self._send({"type": "lifespan.startup.failed", "message": f"Hubbub: {error}"})

    async def _serve_without_app(self) -> None:
        if not self._app_has_received:
            await self.receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self.receive()
        await self._send({"type": "lifespan.shutdown.complete"})


class LateStart:
    """Starts a gateway at the first scope that needs it, on a server without lifespan. Nothing ever stops it there."""

    def __init__(self, gateway: Startable) -> None:
        self._gateway = gateway
        self._starting: asyncio.Task[Admission] | None = None

    async def admission(self) -> Admission:
        """Return the admission; start the gateway if it does not run, once for all concurrent calls.

        Raises:
            ConfigurationError: The gateway runs in another event loop, or cannot start.
        """
        running = self._gateway.admission
        if running is not None:
            return running
        loop = asyncio.get_running_loop()
        if self._starting is None or self._starting.done() or self._starting.get_loop() is not loop:
            self._starting = loop.create_task(self._gateway.start())
        return await asyncio.shield(self._starting)
