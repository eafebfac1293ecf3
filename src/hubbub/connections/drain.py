"""The drain of a node before it ends: its sockets close, spread over a window, and its handlers finish."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final

from hubbub.connections.admission import Admission

logger = logging.getLogger("hubbub.endpoint")

SPREAD: Final = 0.8
"""The fraction of the window over which closes are spread; the rest is for the answers of the last peers."""

MIN_PAUSE: Final = 0.02
"""The shortest pause between two closes, in seconds: sockets that come due during a pause close together."""


async def drain(admission: Admission, seconds: float, force: asyncio.Event) -> None:
    """Refuse new sockets, close the open ones with 1012 evenly over most of the window, and wait for handlers.

    Args:
        admission: The node's admission; it refuses every upgrade from now on.
        seconds: The length of the window.
        force: Once it is set, the sockets that are left close at once, and handlers that still run are cancelled.
    """
    admission.accepting = False
    services = admission.services
    loop = asyncio.get_running_loop()
    sockets = list(services.hub)
    logger.info("draining %d sockets within %g s", len(sockets), seconds)
    began, spread, closed = loop.time(), seconds * SPREAD, 0
    while closed < len(sockets):
        part = 1.0 if force.is_set() or not spread else min(1.0, (loop.time() - began) / spread)
        due = min(len(sockets), 1 + int(part * len(sockets)))
        for socket in sockets[closed:due]:
            socket.restart()
        closed = due
        if closed < len(sockets):
            with contextlib.suppress(TimeoutError):
                next_due = began + spread * closed / len(sockets)
                await asyncio.wait_for(force.wait(), max(MIN_PAUSE, next_due - loop.time()))
    unfinished = await services.dispatcher.finish(began + seconds - loop.time(), force)
    if unfinished:
        logger.warning("cancelled %d tasks that did not finish within %g s", unfinished, seconds)
