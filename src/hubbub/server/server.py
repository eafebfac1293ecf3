"""uvicorn with a graceful end: sockets are told, handlers finish, and the exit code is 0."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import HANDLED_SIGNALS

from hubbub.connections.admission import STATE_KEY, Admission
from hubbub.connections.drain import drain
from hubbub.transports.uvicorn.http_protocol import HttpProtocol

if sys.platform != "win32":
    import resource

INTERRUPT_SECONDS: Final = 1.0
"""The drain window after SIGINT: a person waits at the keyboard."""

TERMINATE_SECONDS: Final = 10.0
"""The drain window after SIGTERM: a deploy, where sockets had better not all reconnect at once."""

LAST_SECONDS: Final = 0.5
"""What the app's own shutdown gets at least, also after a second signal or when the window is over."""

TICK_SECONDS: Final = 1.0
"""How old the Date header of a response gets. uvicorn's own loop wakes an idle process ten times as often."""

YOUNG_OBJECTS: Final = 10_000
"""Objects that a process of sockets allocates before the garbage collector looks at them; Python's own 700 is little
where each connection allocates a few dozen that stay."""

UNSENT_IN_KERNEL: Final = 64 * 1024
"""Bytes that the kernel takes from us for one connection and has not sent yet (TCP_NOTSENT_LOWAT, tcp(7)).

Left alone it takes up to 4 MiB for a peer that has stopped to read: ``Limits.unsent_bytes`` would count only what comes
after that. What is sent and not acknowledged is on top, so nobody who reads is slowed down.
"""

logger = logging.getLogger("hubbub.server")


class AppLifespan(LifespanOn):
    """uvicorn's side of the app's lifespan, which can be cut short before the app has started."""

    _task: asyncio.Task[object] | None = None
    _is_cut_short = False

    async def main(self) -> None:
        """Lets the app serve its lifespan; run by uvicorn in a task of its own."""
        self._task = asyncio.current_task()
        if self._is_cut_short and self._task is not None:
            self._task.cancel()
        await super().main()

    def cut_short(self) -> bool:
        """Cancels an app that has not answered yet, and tells whether it had not: it cleans up, and then has failed."""
        if self.startup_event.is_set():
            return False
        self._is_cut_short = True
        if self._task is not None:
            self._task.cancel()
        return True

    async def send(self, message: Any) -> None:
        """Takes the app's answers. That it was cancelled is no news: Starlette would say it with a traceback."""
        if self._is_cut_short and message["type"] == "lifespan.startup.failed":
            logger.debug("the app was cut short: %s", message.get("message"))
            message = {"type": message["type"]}
        await super().send(message)


class Server(uvicorn.Server):
    """Drains on the first signal, ends at once on the second."""

    def __init__(self, config: uvicorn.Config, *, terminate_seconds: float = TERMINATE_SECONDS) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(config)
        if config.http == "auto":
            config.http = HttpProtocol
        self._terminate_seconds = terminate_seconds
        self._owns_process = False
        self._window = INTERRUPT_SECONDS
        self._exit_requested = asyncio.Event()
        self._force = asyncio.Event()
        self._starting: asyncio.Task[object] | None = None
        self._is_cut_short = False

    @property
    def should_exit(self) -> bool:
        """Whether it has been told to end. It may be told in any thread, and by a signal."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, told: bool) -> None:
        self._should_exit = told
        if told and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
                self._loop.call_soon_threadsafe(self._exit_requested.set)

    @property
    def failed(self) -> bool:
        """Tells whether it has ended without having been started, and nobody had asked it to end."""
        return not (self.started or self.should_exit)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves in this process, which is for nothing else: what the app is made of is garbage collected no more."""
        self._owns_process = True
        raise_file_limit()
        super().run(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the app and accepts connections. A signal cuts short an app that waits, for a database say."""
        if type(self.lifespan) is LifespanOn:
            self.lifespan = AppLifespan(self.config)
        self._loop = asyncio.get_running_loop()
        self._starting = asyncio.current_task()
        try:
            if self.should_exit:  # told while the app was imported
                return
            await super().startup(sockets)
        except (SystemExit, asyncio.CancelledError):
            if not self._is_cut_short:
                raise
            logger.info("told to end before the app had started")
            return
        finally:
            self._starting = None
        for server in self.servers:
            for listening in server.sockets:
                _bound_unsent(listening)
        if self._owns_process:
            gc.collect()
            gc.freeze()
            gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])

    async def main_loop(self) -> None:
        """Ticks once a second, and ends as soon as it is told to."""
        while not await self.on_tick(0):  # at every tenth one the date is renewed: 0 is one
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exit_requested.wait(), TICK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Is the signal handler; uvicorn's own keeps the signal and raises it again at the end (exit code -15)."""
        if self.should_exit:
            if self.config.should_reload:  # Ctrl-C reaches the reloader too, which then terminates its process
                return
            self.force_exit = True
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._force.set)
                self._loop.call_soon_threadsafe(self._abandon_start)
            return
        self.should_exit = True
        self._window = self._terminate_seconds if sig == signal.SIGTERM else INTERRUPT_SECONDS
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cut_start_short)

    def _cut_start_short(self) -> None:
        """Cancels the app where it is still starting, and gives it the window to clean up."""
        if self._starting is None or self._loop is None or not isinstance(self.lifespan, AppLifespan):
            return
        self._is_cut_short = self.lifespan.cut_short()
        if self._is_cut_short:
            self._loop.call_later(self._window, self._abandon_start)

    def _abandon_start(self) -> None:
        """Waits no longer for an app that was cut short."""
        if self._starting is not None and self._is_cut_short:
            self._starting.cancel()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting, drains the gateway, then lets uvicorn end the rest within what is left of the window."""
        if self.force_exit:
            self._force.set()
        deadline = time.monotonic() + self._window
        for server in self.servers:
            server.close()
        admission: Admission | None = self.lifespan.state.get(STATE_KEY)
        if admission is not None:
            await drain(admission, self._window, self._force)
        # uvicorn declares whole seconds, and waits for any number of them.
        self.config.timeout_graceful_shutdown = max(0.1, deadline - time.monotonic())  # type: ignore[assignment]
        ending = asyncio.create_task(super().shutdown(sockets))
        forced = asyncio.create_task(self._force.wait())
        left = max(LAST_SECONDS, deadline - time.monotonic())
        await asyncio.wait({ending, forced}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        forced.cancel()
        try:
            await asyncio.wait_for(ending, LAST_SECONDS)
            if self.force_exit:  # uvicorn then leaves the app alone, which ends in a traceback of its lifespan
                await asyncio.wait_for(self.lifespan.shutdown(), LAST_SECONDS)
        except TimeoutError:
            logger.warning("the app did not end within its %g s", self._window)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Installs ``handle_exit`` while the server runs, in the main thread only: elsewhere Python has no signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        originals = {sig: signal.signal(sig, self.handle_exit) for sig in HANDLED_SIGNALS}
        if sys.platform != "win32":  # a worker is born with these blocked: see hubbub.server.workers
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        try:
            yield
        finally:
            for sig, handler in originals.items():
                signal.signal(sig, handler)


def raise_file_limit() -> None:
    """Raises the soft limit on file descriptors to the hard one, and says so where that changes anything.

    A socket takes a descriptor. The soft limit is 1,024 on most systems for the sake of programs that call select(2),
    which knows no higher ones; a server does not.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # macOS calls its hard limit unlimited, and means another number
        logger.info("the limit on file descriptors stays at %d: %s", soft, error)
        return
    shown = "unlimited" if hard == resource.RLIM_INFINITY else hard
    logger.info("the limit on file descriptors was %d, and is now %s", soft, shown)


def _bound_unsent(listening: socket.socket) -> None:
    """Sets the bound where connections inherit it, so that it costs none of them anything."""
    if listening.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_IN_KERNEL)
