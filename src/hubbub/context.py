"""A socket's identity: set once after authentication, never changed."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from hubbub.contract.topics import Topic


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The identity of one socket.

    Attributes:
        user_id: The authenticated user.
        socket_id: Unique to this socket; a user has any number of sockets.
        connected_at: Milliseconds since the epoch.
        subscriptions: A live, read-only view of the topics that the socket is subscribed to.
    """

    user_id: str
    socket_id: str
    connected_at: int
    subscriptions: Set[Topic]
