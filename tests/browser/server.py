"""The messenger as `make run` serves it, on a free port and with its own database."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import httpx

APP = "hubbub_messenger.app:app"
HUBBUB = Path(sys.executable).with_name("hubbub")
TIMEOUT = 30.0  # seconds


class Server:
    """One server process at a time, always on the same port.

    Args:
        folder: where it runs, with its database and its log.
        settings: the messenger's settings, such as `{"session_hours": "0.01"}`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._settings = settings
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        named = {"environment": "development", "database_url": "sqlite:///./messenger.db", **settings}
        self._environment = {**os.environ, **{f"HUBBUB_{name.upper()}": value for name, value in named.items()}}

    def start(self) -> None:
        """Start the process, and wait until it serves."""
        with self._log.open("ab") as log:
            self._process = self._run(log)
        deadline = time.monotonic() + TIMEOUT
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the server did not start:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the process as a deploy does: it asks its sockets to reconnect."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @contextlib.contextmanager
    def second_server(self) -> Iterator[Server]:
        """Run another server on the same database."""
        other = Server(self._folder, self._settings)
        other.start()
        try:
            yield other
        finally:
            other.stop()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def _run(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [HUBBUB, "run", APP, "--port", str(self.port), "--drain", "0.2"]
        return subprocess.Popen(command, cwd=self._folder, env=self._environment, stdout=log, stderr=log)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False


class Caller:
    """A user who calls REST without a browser."""

    def __init__(self, url: str, username: str) -> None:
        self._http = httpx.Client(base_url=url)
        answer = self._http.post("/api/session", json={"username": username, "password": username})
        token = answer.raise_for_status().json()["token"]
        self._http.cookies.clear()
        self._http.headers["Authorization"] = f"Bearer {token}"

    def start_conversation(self, *members: str, title: str | None = None) -> str:
        """Start a conversation, and return its id."""
        body = {"memberIds": members} | ({} if title is None else {"title": title})
        id: str = self._http.post("/api/conversations", json=body).raise_for_status().json()["id"]
        return id

    def write(self, conversation: str, *bodies: str) -> None:
        """Send messages."""
        for body in bodies:
            answer = self._http.post(f"/api/conversations/{conversation}/messages", json={"body": body})
            answer.raise_for_status()

    def close(self) -> None:
        self._http.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
