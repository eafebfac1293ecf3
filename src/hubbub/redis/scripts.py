"""Lua scripts, each read once."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

from hubbub.redis.resp import command


class Script(NamedTuple):
    """A script, and the name by which a server remembers it."""

    source: bytes
    sha: bytes


@cache
def script(package: str, name: str) -> Script:
    """Reads a script from the folder ``lua`` of a package; what all of them share, ``common.lua``, comes first."""
    folder = files(package) / "lua"
    source = (folder / "common.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())  # Redis names scripts so


class Call(NamedTuple):
    """One call of a script, on the server that holds a bucket."""

    script: Script
    bucket: int
    keys: tuple[bytes, ...]
    arguments: tuple[bytes, ...]

    def by_sha(self) -> bytes:
        """Writes the command for a server that knows the script."""
        return command(b"EVALSHA", self.script.sha, b"%d" % len(self.keys), *self.keys, *self.arguments)

    def by_source(self) -> bytes:
        """Writes the command for a server that does not, and that knows it from then on."""
        return command(b"EVAL", self.script.source, b"%d" % len(self.keys), *self.keys, *self.arguments)
