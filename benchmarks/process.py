"""The programs of a benchmark: compiled, started, asked, measured from outside, and always stopped."""

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
    """A measurement that could not be made, or would have been wrong."""


class IncapableError(BenchmarkError):
    """A server that is well, but cannot do this work: asking it again would find the same."""


def compile_c(name: str) -> Path:
    """Compiles ``c/<name>.c`` into the git-ignored build folder, if it is newer than what is there."""
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
    """Runs a program's main function so that its servers end with it, however it ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        main()
    except BenchmarkError as error:
        raise SystemExit(f"benchmark: {error}") from error


def _stop(number: int, frame: object) -> NoReturn:
    # An exception unwinds the context managers, which kill the servers.
    raise SystemExit(128 + number)


def free_port() -> int:
    """Finds a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A child process: a context manager that kills it in the end, whatever happened.

    core: the processor it is bound to; server and client then never take turns on one. None leaves it to the system.
    Its standard error goes to ``build/<name>.log``, and so does its standard output unless it speaks in lines of JSON.
    """

    def __init__(self, name: str, *command: str | Path, core: int | None = None, speaks: bool = False) -> None:
        self.name = name
        self._command = [str(part) for part in command]
        self._core = core
        self._speaks = speaks
        self._unread = b""

    def __enter__(self) -> Self:
        BUILD.mkdir(exist_ok=True)
        with (BUILD / f"{self.name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE if self._speaks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._speaks else log,
                stderr=log,
                preexec_fn=self._prepare,
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # No graceful end: closing thousands of sockets in good order is not what is measured here.
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _prepare(self) -> None:
        """Runs in the child: it dies with this process, even where this one has no time to kill it."""
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(PermissionError):
            os.nice(-20)  # where we may: what else runs on the machine then disturbs less
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})

    @property
    def pid(self) -> int:
        """Gives the process id."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Gives the user and system time of the process and its children so far, all threads, to the nanosecond.

        It is the process's CPU-time clock (clock_getcpuclockid(3), whose Linux encoding this is): the figure that
        getrusage gives the process itself, readable from outside for a server in any language.
        """
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self._family(self.pid))

    def resident_bytes(self) -> int:
        """Gives the resident memory of the process and its children."""
        return sum(self._resident(pid) for pid in self._family(self.pid))

    def _resident(self, pid: int) -> int:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise BenchmarkError(f"{self.name}: no resident memory to be read")

    def _family(self, pid: int) -> Iterator[int]:
        yield pid
        children: list[str] = []
        for thread in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # a thread that has just ended
                children += thread.read_text().split()
        for child in children:
            yield from self._family(int(child))

    def ask(self, command: str, seconds: float = 30.0) -> dict[str, Any]:
        """Sends one line to a program that speaks, and gives its answer."""
        stream = self._process.stdin
        if stream is None:
            raise BenchmarkError(f"{self.name} takes no commands")
        try:
            stream.write(command.encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            raise self._gone() from None
        return self.answer(seconds)

    def answer(self, seconds: float = 30.0) -> dict[str, Any]:
        """Waits for the next line of JSON."""
        stream = self._process.stdout
        if stream is None:
            raise BenchmarkError(f"{self.name} gives no answers")
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            if not select.select([stream], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise BenchmarkError(f"{self.name} has not answered in {seconds:.0f} s")
            read = os.read(stream.fileno(), 65536)
            if not read:
                raise self._gone()
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(f"{self.name}: {answer['error']}")
        return answer

    def wait_for_port(self, port: int, seconds: float = 20.0) -> None:
        """Waits until the process accepts connections on 127.0.0.1."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise self._gone()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise BenchmarkError(f"{self.name} does not listen on port {port} after {seconds:.0f} s")

    def _gone(self) -> BenchmarkError:
        log = (BUILD / f"{self.name}.log").read_text(errors="replace")[-2000:]
        return BenchmarkError(f"{self.name} has ended; the end of its output:\n{log}")
