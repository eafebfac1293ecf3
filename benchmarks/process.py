"""The programs of a benchmark: compile, start, send commands to, measure from outside, and always stop."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self

HERE: Final = Path(__file__).parent
BUILD: Final = HERE / "build"
PR_SET_PDEATHSIG: Final = 1

_libc = ctypes.CDLL(None)


class BenchmarkError(Exception):
    """A measurement failed, or its result would have been wrong."""


class IncapableError(BenchmarkError):
    """A healthy server cannot do this workload: measuring again would end the same way."""


def compile_c(name: str) -> Path:
    """Compile `c/<name>.c` into the build folder, unless the program there is up to date."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchmarkError("the load generator is written in C: install a C compiler as cc (Debian: apt install gcc)")
    BUILD.mkdir(exist_ok=True)
    target = BUILD / name
    sources = [HERE / "c" / f"{name}.c", *(HERE / "c").glob("*.h")]
    if not target.exists() or target.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        command = [compiler, "-O2", "-Wall", "-Wextra", "-std=gnu11", "-o", str(target), str(sources[0])]
        if subprocess.run(command, check=False).returncode != 0:
            raise BenchmarkError(f"{sources[0].name} does not compile")
    return target


def run_as_script(main: Callable[[], object]) -> None:
    """Run a main function so that its child processes end with it, however it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    try:
        main()
    except BenchmarkError as error:
        raise SystemExit(f"benchmark: {error}") from error


def _exit(number: int, frame: object) -> NoReturn:
    # An exception unwinds the context managers, which kill the child processes.
    raise SystemExit(128 + number)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A child process, and a context manager that kills it at the end.

    Args:
        name: names the log, `build/<name>.log`: standard error, and standard output unless `interactive`.
        command: the program and its arguments.
        core: the processor to bind it to, so that server and client never share one; None leaves it to the system.
        interactive: it reads commands from standard input and answers each with lines of JSON.
    """

    def __init__(self, name: str, *command: str | Path, core: int | None = None, interactive: bool = False) -> None:
        self.name = name
        self._command = [str(part) for part in command]
        self._core = core
        self._interactive = interactive
        self._unread = b""

    def __enter__(self) -> Self:
        BUILD.mkdir(exist_ok=True)
        with (BUILD / f"{self.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE if self._interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._interactive else log,
                stderr=log,
                preexec_fn=self._prepare,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # Killed, not stopped gracefully: closing thousands of sockets in order is not measured here.
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _prepare(self) -> None:
        """Set up the child, in the child: it dies with this process, even if this process is killed."""
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(PermissionError):
            os.nice(-20)  # if permitted, so that other processes disturb it less
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def process_ids(self) -> list[int]:
        """Return the ids of the process and of all its descendants."""
        return list(_process_tree(self.pid))

    def cpu_seconds(self) -> float:
        """Return the user and system time of the process and its descendants so far, to the nanosecond.

        It is the process's CPU-time clock (clock_getcpuclockid(3), whose Linux encoding this is): what getrusage
        reports to the process itself, but readable from outside, for a server in any language.
        """
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in _process_tree(self.pid))

    def resident_bytes(self) -> int:
        """Return the resident memory of the process and its descendants."""
        return sum(memory_bytes(pid, "Rss") for pid in _process_tree(self.pid))

    def request(self, command: str, timeout: float = 30.0) -> dict[str, Any]:
        """Send a command to an interactive program, and return its first answer.

        Args:
            command: one line.
            timeout: seconds.
        """
        stream = self._process.stdin
        if stream is None:
            raise BenchmarkError(f"{self.name} takes no commands")
        try:
            stream.write(command.encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            raise self._has_ended() from None
        return self.read_answer(timeout)

    def read_answer(self, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for the next line of JSON, for at most `timeout` seconds."""
        stream = self._process.stdout
        if stream is None:
            raise BenchmarkError(f"{self.name} sends no answers")
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BenchmarkError(f"{self.name} has not answered in {timeout:.0f} s")
            read = os.read(stream.fileno(), 65536)
            if not read:
                raise self._has_ended()
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self.name}: {answer['error']}")
        return answer

    def wait_for_port(self, port: int, timeout: float = 20.0) -> None:
        """Wait until the process accepts connections on 127.0.0.1, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self._has_ended()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise BenchmarkError(f"{self.name} does not listen on port {port} after {timeout:.0f} s")

    def _has_ended(self) -> BenchmarkError:
        log = (BUILD / f"{self.name}.log").read_text(errors="replace")[-2000:]
        return BenchmarkError(f"{self.name} has ended; the end of its output:\n{log}")


def memory_bytes(pid: int, field: str) -> int:
    """Return a field of `/proc/<pid>/smaps_rollup` in bytes, such as Rss or Pss."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"the system reports no {field} for process {pid}")


def _process_tree(pid: int) -> Iterator[int]:
    yield pid
    children: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            children += thread.read_text().split()
    for child in children:
        yield from _process_tree(int(child))
