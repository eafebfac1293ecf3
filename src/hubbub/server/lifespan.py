"""uvicorn's side of the app's lifespan, which a signal can cut short."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.lifespan.on import LifespanOn

logger = logging.getLogger("hubbub.server")


class InterruptibleLifespan(LifespanOn):
    """uvicorn's lifespan, except that the app can be cancelled while it starts."""

    _task: asyncio.Task[object] | None = None
    _is_interrupted = False

    async def main(self) -> None:
        """Let the app serve its lifespan; uvicorn runs this in a task of its own."""
        self._task = asyncio.current_task()
        if self._is_interrupted and self._task is not None:
            self._task.cancel()
        await super().main()

    def interrupt(self) -> bool:
        """Cancel the app if it is still starting, and return whether it was; it cleans up, and then has failed."""
        if self.startup_event.is_set():
            return False
        self._is_interrupted = True
        if self._task is not None:
            self._task.cancel()
        return True

    async def send(self, message: Any) -> None:
        """Receive an answer of the app; do not log as an error that we have cancelled it, as Starlette reports it."""
        if self._is_interrupted and message["type"] == "lifespan.startup.failed":
            logger.debug("the app was interrupted while it started: %s", message.get("message"))
            message = {"type": message["type"]}
        await super().send(message)
