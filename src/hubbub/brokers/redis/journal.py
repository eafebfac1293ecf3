"""What a node must not miss though it was cut off: kept in Redis for a while, and read again after a gap.

Events need no such thing: a resync makes good for them. A withdrawal of access has nobody who could fetch it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from hubbub.redis.resp import command

MOST: Final = 10_000
"""Entries kept, here and in Redis; about two megabytes there."""

KEPT_SECONDS: Final = 3600
"""How long they are kept after the last one. Who was away for longer has lost its sockets to their heartbeats."""

MARGIN_MILLISECONDS: Final = 1000
"""By how much the clocks of a Cluster's servers may differ."""


class Journal:
    """Writes and reads the entries, and knows since when this node may have missed some. Pure: no I/O.

    Times are milliseconds of the servers' clocks; entries are a stream, whose ids begin with that time.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, None] = {}
        self._fine: dict[Hashable, int] = {}
        self._floor: int | None = None

    def writing(self, data: bytes) -> list[bytes]:
        """Gives the commands that keep an entry."""
        return [
            command(b"XADD", self._key, b"MAXLEN", b"~", b"%d" % MOST, b"*", b"d", data),
            command(b"EXPIRE", self._key, b"%d" % KEPT_SECONDS),
        ]

    def reading(self, servers: Iterable[Hashable]) -> bytes | None:
        """Gives the command that reads what may have been missed; None before anything could have been.

        servers: those that deliver to this node now.
        """
        if self._floor is None:
            return None
        since = min((self._fine.get(server, self._floor) for server in servers), default=self._floor)
        return command(b"XRANGE", self._key, b"%d" % max(0, since - MARGIN_MILLISECONDS), b"+")

    def all_is_fine(self, answer: object) -> None:
        """Takes in the answer to TIME: what is published from then on reaches this node, or is read again."""
        self._floor = _milliseconds(answer, self._floor)
        self._fine.clear()

    def is_fine(self, server: Hashable, answer: object) -> None:
        """Takes in the answer to TIME of a server from which everything until then has arrived."""
        time = _milliseconds(answer, None)
        if time is not None:
            self._fine[server] = time

    def is_news(self, id: bytes) -> bool:
        """Tells whether an entry was not known yet, and remembers it."""
        if id in self._known:
            return False
        self._known[id] = None
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return True


def entries(answer: object) -> list[bytes]:
    """Reads the answer to ``reading``: ``[[id, [field, data]], …]``; empty where it is anything else."""
    try:
        return [data for _, (_, data) in answer]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return []


def _milliseconds(answer: object, otherwise: int | None) -> int | None:
    """Reads the answer to TIME: seconds and microseconds."""
    if not isinstance(answer, list) or len(answer) != 2:
        return otherwise
    return int(answer[0]) * 1000 + int(answer[1]) // 1000
