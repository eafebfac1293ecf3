"""uvicorn with a graceful end: sockets get a close code, handlers finish, and the exit code is 0."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.connections.drain import drain
from hubbub.server import tuning
from hubbub.server.lifespan import InterruptibleLifespan
from hubbub.transports.uvicorn.http_protocol import HttpProtocol

INTERRUPT_SECONDS: Final = 1.0
"""The drain window after SIGINT: a person waits at the keyboard."""

TERMINATE_SECONDS: Final = 10.0
"""The drain window after SIGTERM: in a deploy, sockets should not all reconnect at once."""

MIN_SHUTDOWN_SECONDS: Final = 0.5
"""The shortest time for the app's own shutdown, even after a second signal or at the end of the window."""

TICK_SECONDS: Final = 1.0
"""The interval at which the Date header of responses is renewed. uvicorn's own loop wakes up ten times as often."""

logger = logging.getLogger("hubbub.server")


class Server(uvicorn.Server):
    """uvicorn's server, except that the first signal drains the gateway and the second one ends at once.

    Args:
        config: uvicorn's; `http` is set to ours unless it was chosen.
        terminate_seconds: The drain window after SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, *, terminate_seconds: float = TERMINATE_SECONDS) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(config)
        if config.http == "auto":
            config.http = HttpProtocol
        self._terminate_seconds = terminate_seconds
        self._owns_process = False
        self._drain_seconds = INTERRUPT_SECONDS
        self._exit_requested = asyncio.Event()
        self._force = asyncio.Event()
        self._startup: asyncio.Task[object] | None = None  # while it runs
        self._is_startup_interrupted = False

    @property
    def should_exit(self) -> bool:
        """Whether the server is to end. May be set from any thread, and by a signal handler."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server has ended already
                self._loop.call_soon_threadsafe(self._exit_requested.set)

    @property
    def failed(self) -> bool:
        """Return whether the startup failed: the server ended before it had started, without being asked to."""
        return not (self.started or self.should_exit)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve in this process, which does nothing else: its limits and its garbage collector are tuned for that."""
        self._owns_process = True
        tuning.raise_file_limit()
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app and accept connections. A signal interrupts an app that is starting."""
        if type(self.lifespan) is LifespanOn:
            self.lifespan = InterruptibleLifespan(self.config)
        self._loop = asyncio.get_running_loop()
        self._startup = asyncio.current_task()
        try:
            if self.should_exit:  # a signal came while the app was imported
                return
            await super().startup(sockets)
        except (SystemExit, asyncio.CancelledError):
            if not self._is_startup_interrupted:
                raise
            logger.info("interrupted before the app had started")
            return
        finally:
            self._startup = None
        for server in self.servers:
            for listening in server.sockets:
                tuning.limit_unsent_in_kernel(listening)
        if self._owns_process:
            tuning.tune_garbage_collector()

    async def main_loop(self) -> None:
        """Tick once a second, and return as soon as the server is to end."""
        while not await self.on_tick(0):  # uvicorn renews the date at every tenth count: 0 is one of them
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exit_requested.wait(), TICK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal. uvicorn's own handler also raises it again at the end, which makes the exit code -15."""
        if self.should_exit:
            if self.config.should_reload:  # Ctrl-C reaches the reloader too, which then terminates its process
                return
            self.force_exit = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._force.set)
                self._loop.call_soon_threadsafe(self._abandon_startup)
            return
        self.should_exit = True
        self._drain_seconds = self._terminate_seconds if sig == signal.SIGTERM else INTERRUPT_SECONDS
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._interrupt_startup)

    def _interrupt_startup(self) -> None:
        """Cancel the app if it is still starting; it has the drain window to clean up."""
        if self._startup is None or self._loop is None or not isinstance(self.lifespan, InterruptibleLifespan):
            return
        self._is_startup_interrupted = self.lifespan.interrupt()
        if self._is_startup_interrupted:
            self._loop.call_later(self._drain_seconds, self._abandon_startup)

    def _abandon_startup(self) -> None:
        """Stop waiting for an app that was interrupted."""
        if self._startup is not None and self._is_startup_interrupted:
            self._startup.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain the gateway, then let uvicorn end the rest in what is left of the window."""
        if self.force_exit:
            self._force.set()
        deadline = time.monotonic() + self._drain_seconds
        for server in self.servers:
            server.close()
        admission: Admission | None = self.lifespan.state.get(STATE_KEY)
        if admission is not None:
            await drain(admission, self._drain_seconds, self._force)
        # uvicorn declares whole seconds, and waits for any number of them.
        self.config.timeout_graceful_shutdown = max(0.1, deadline - time.monotonic())  # type: ignore[assignment]
        ending = asyncio.create_task(super().shutdown(sockets))
        forced = asyncio.create_task(self._force.wait())
        left = max(MIN_SHUTDOWN_SECONDS, deadline - time.monotonic())
        await asyncio.wait({ending, forced}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        try:
            await asyncio.wait_for(ending, MIN_SHUTDOWN_SECONDS)
            if self.force_exit:  # uvicorn then skips the app's shutdown, and its lifespan would end in a traceback
                await asyncio.wait_for(self.lifespan.shutdown(), MIN_SHUTDOWN_SECONDS)
        except TimeoutError:
            logger.warning("the app did not shut down within %g s", self._drain_seconds)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install `handle_exit` while the server runs in the main thread; in other threads Python has no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        originals = {sig: signal.signal(sig, self.handle_exit) for sig in HANDLED_SIGNALS}
        if sys.platform != "win32":  # a worker starts with these blocked: see hubbub.server.workers
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        try:
            yield
        finally:
            for sig, handler in originals.items():
                signal.signal(sig, handler)
