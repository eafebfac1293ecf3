"""One app in several processes that share a port, because one Python process uses one core."""

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
"""The exit code of a worker whose app did not start. The app would not start the next time either."""

MIN_LIFETIME: Final = 1.0
"""Seconds between the start of a worker and the start of its replacement, at least."""

FORWARDED_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

logger = logging.getLogger("hubbub.server")

_spawning = multiprocessing.get_context("spawn")


class Workers:
    """Starts workers, replaces those that die, and forwards the signals that end a server (docs/decisions/0012).

    All workers accept from one listening socket, which outlives each of them. Each signal goes to every worker once, so
    the first one drains and the second one ends at once, as with a single process.

    Args:
        config: uvicorn's, for every worker.
        count: How many workers.
        terminate_seconds: The drain window of a worker after SIGTERM.
    """

    def __init__(self, config: uvicorn.Config, count: int, *, terminate_seconds: float) -> None:
        self._config = config
        self._count = count
        self._terminate_seconds = terminate_seconds
        self._workers: dict[SpawnProcess, float] = {}  # with the time of their start
        self._is_ending = False
        self._failed = False

    def run(self) -> bool:
        """Serve until a signal ends it, and return whether the app could be started."""
        listening = self._config.bind_socket()
        listening.listen(self._config.backlog)  # connections wait here until a worker is up
        waker, wakened = socket.socketpair()  # a signal ends the wait below
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for number in FORWARDED_SIGNALS:
            signal.signal(number, self._forward_signal)
        with listening, waker, wakened:
            for _ in range(self._count):
                if not self._is_ending:
                    self._start(listening)
            while self._workers:
                ready = wait([wakened, *(worker.sentinel for worker in self._workers)])
                if wakened in ready:
                    wakened.recv(64)
                for worker in [worker for worker in self._workers if worker.sentinel in ready]:
                    self._worker_ended(worker, listening)
        signal.set_wakeup_fd(-1)
        return not self._failed

    def _start(self, listening: socket.socket) -> None:
        worker = _spawning.Process(target=_serve, args=(self._config, self._terminate_seconds, listening))
        # Signals are blocked during the start: here until the worker is in the list to which they are forwarded, and in
        # the worker, which inherits this, until it has a handler (Server.capture_signals).
        resource_tracker.ensure_running()  # otherwise the first start would do this, and unblock the signals
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED_SIGNALS)
        try:
            worker.start()
            self._workers[worker] = time.monotonic()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)

    def _worker_ended(self, worker: SpawnProcess, listening: socket.socket) -> None:
        started_at = self._workers.pop(worker)
        worker.join()
        if self._is_ending:
            return
        if worker.exitcode == STARTUP_FAILURE:
            logger.error("worker %d did not start: ending the others", worker.pid)
            self._failed = True
            self._forward_signal(signal.SIGTERM, None)
            return
        logger.error("worker %d ended with code %s: starting another", worker.pid, worker.exitcode)
        time.sleep(max(0.0, started_at + MIN_LIFETIME - time.monotonic()))
        if not self._is_ending:
            self._start(listening)

    def _forward_signal(self, number: int, frame: FrameType | None) -> None:
        """Send a signal that this process got to every worker; used as the signal handler."""
        self._is_ending = True
        for worker in self._workers:
            if worker.pid is not None and worker.exitcode is None:
                os.kill(worker.pid, number)


def _serve(config: uvicorn.Config, terminate_seconds: float, listening: socket.socket) -> None:
    """Serve the app; this is all that a worker process does."""
    os.setpgid(0, 0)  # Ctrl-C in a terminal then reaches only the parent, which forwards it once
    _when_parent_dies(lambda: os.kill(os.getpid(), signal.SIGTERM))
    config.configure_logging()
    server = Server(config, terminate_seconds=terminate_seconds)
    server.run([listening])
    if server.failed:
        sys.exit(STARTUP_FAILURE)


def _when_parent_dies(call: Callable[[], None]) -> None:
    """Call back when the parent process has died, however it died."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        call()

    threading.Thread(target=watch, name="hubbub parent", daemon=True).start()
