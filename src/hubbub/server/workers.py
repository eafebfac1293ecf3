"""One app in several processes that share a port, since one Python process uses one core."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

import uvicorn

from hubbub.server.server import Server

STARTUP_FAILURE: Final = 3
"""The exit code of a worker whose app did not start: it would not start the next time either."""

PAUSE_SECONDS: Final = 1.0
"""The shortest life of a worker that is replaced at once; one that dies sooner waits for the rest of it."""

FORWARDED: Final = (signal.SIGINT, signal.SIGTERM)

logger = logging.getLogger("hubbub.server")

_spawning = multiprocessing.get_context("spawn")


class Workers:
    """Starts workers, replaces those that die, and passes on the signals that end a server.

    All accept from one listening socket, which outlives each of them. A signal goes to every worker as it came, so the
    first drains and the second ends at once, as with a single process.
    """

    def __init__(self, config: uvicorn.Config, count: int, *, terminate_seconds: float) -> None:
        self._config = config
        self._count = count
        self._terminate_seconds = terminate_seconds
        self._workers: dict[SpawnProcess, float] = {}  # with the time each was started
        self._is_ending = False
        self._failed = False

    def run(self) -> bool:
        """Serves until a signal ends it; tells whether the app could be started."""
        listening = self._config.bind_socket()
        listening.listen(self._config.backlog)  # what connects before a worker is up waits for it
        waker, wakened = socket.socketpair()
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for number in FORWARDED:
            signal.signal(number, self._pass_on)
        with listening, waker, wakened:
            for _ in range(self._count):
                if not self._is_ending:
                    self._start(listening)
            while self._workers:
                ready = wait([wakened, *(worker.sentinel for worker in self._workers)])
                if wakened in ready:
                    wakened.recv(64)
                for worker in [worker for worker in self._workers if worker.sentinel in ready]:
                    self._ended(worker, listening)
        signal.set_wakeup_fd(-1)
        return not self._failed

    def _start(self, listening: socket.socket) -> None:
        worker = _spawning.Process(target=_serve, args=(self._config, self._terminate_seconds, listening))
        # A signal meanwhile waits: here until the worker is among those that are told, there until it has a handler.
        resource_tracker.ensure_running()  # or the first start would, which unblocks them
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            worker.start()
            self._workers[worker] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)

    def _ended(self, worker: SpawnProcess, listening: socket.socket) -> None:
        began = self._workers.pop(worker)
        worker.join()
        if self._is_ending:
            return
        if worker.exitcode == STARTUP_FAILURE:
            logger.error("worker %d did not start: ending the others", worker.pid)
            self._failed = True
            self._pass_on(signal.SIGTERM, None)
            return
        logger.error("worker %d ended with code %s: starting another", worker.pid, worker.exitcode)
        time.sleep(max(0.0, began + PAUSE_SECONDS - time.monotonic()))
        if not self._is_ending:
            self._start(listening)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Is the signal handler."""
        self._is_ending = True
        for worker in self._workers:
            if worker.pid is not None and worker.exitcode is None:
                os.kill(worker.pid, number)


def _serve(config: uvicorn.Config, terminate_seconds: float, listening: socket.socket) -> None:
    """Is the whole of a worker process."""
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the parent alone, which passes it on: once
    _with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))
    config.configure_logging()
    server = Server(config, terminate_seconds=terminate_seconds)
    server.run([listening])
    if server.failed:
        sys.exit(STARTUP_FAILURE)


def _with_parent(end: Callable[[], None]) -> None:
    """Calls ``end`` when the parent has died without a word."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        end()

    threading.Thread(target=watch, name="hubbub parent", daemon=True).start()
