"""A socket's identity: set once after authentication, never mutated."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from hubbub.contract.topics import Topic


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Who is on the other end of one socket.

    user_id: the authenticated user.
    socket_id: unique to this socket; a user has any number of sockets.
    connected_at: milliseconds since the epoch.
    subscriptions: a live, read-only view of the topics the hub holds for this socket.
    """

    user_id: str
    socket_id: str
    connected_at: int
    subscriptions: Set[Topic]
