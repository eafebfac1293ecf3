"""The registry of sockets by user and by topic, and the one place that decides who hears an event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

from hubbub.context import Context
from hubbub.contract.topics import Topic


class Listener(Protocol):
    """What the hub holds of a socket."""

    @property
    def context(self) -> Context:
        """The socket's identity."""

    @property
    def subscriptions(self) -> dict[Topic, None]:
        """The topics the socket is subscribed to; written by the hub alone."""


L = TypeVar("L", bound=Listener)
K = TypeVar("K", Topic, str)


class Hub(Generic[L]):
    """Knows every registered socket of this process. Pure: no I/O, no clock."""

    on_silent: Callable[[Sequence[Topic | str]], None]
    """Is told the topics whose last subscriber here has gone, and the users whose last socket has."""

    def __init__(self) -> None:
        self.on_silent = lambda silent: None
        self._sockets: dict[str, L] = {}
        self._by_user: dict[str, set[L]] = {}
        self._by_topic: dict[Topic, set[L]] = {}
        self._members: dict[Topic | str, tuple[L, ...]] = {}  # of those that were heard of since they last changed

    def __len__(self) -> int:
        return len(self._sockets)

    def __iter__(self) -> Iterator[L]:
        return iter(list(self._sockets.values()))

    def __contains__(self, socket: L) -> bool:
        return socket.context.socket_id in self._sockets

    @property
    def user_count(self) -> int:
        """Gives the number of users with at least one socket here."""
        return len(self._by_user)

    @property
    def topic_count(self) -> int:
        """Gives the number of topics with at least one subscriber here."""
        return len(self._by_topic)

    def get(self, socket_id: str) -> L | None:
        """Finds a registered socket."""
        return self._sockets.get(socket_id)

    def register(self, socket: L) -> None:
        """Adds an authenticated socket; it hears its user's "self" events from now on."""
        self._sockets[socket.context.socket_id] = socket
        self._by_user.setdefault(socket.context.user_id, set()).add(socket)
        self._members.pop(socket.context.user_id, None)

    def unregister(self, socket: L) -> None:
        """Removes a socket and its subscriptions; does nothing for one that is not registered."""
        if self._sockets.pop(socket.context.socket_id, None) is None:
            return
        user_id = socket.context.user_id
        self._discard(self._by_user, user_id, socket)
        self._drop(socket, list(socket.subscriptions))
        if user_id not in self._by_user:
            self.on_silent((user_id,))

    def replace(self, socket: L, topics: Iterable[Topic]) -> list[Topic]:
        """Replaces a registered socket's whole set of subscriptions; gives the topics that are new."""
        wanted = dict.fromkeys(topics)
        held = socket.subscriptions
        added = [topic for topic in wanted if topic not in held]
        self._drop(socket, [topic for topic in held if topic not in wanted])
        for topic in added:
            held[topic] = None
            self._by_topic.setdefault(topic, set()).add(socket)
            self._members.pop(topic, None)
        return added

    def _drop(self, socket: L, topics: list[Topic]) -> None:
        for topic in topics:
            del socket.subscriptions[topic]
            self._discard(self._by_topic, topic, socket)
        silent = [topic for topic in topics if topic not in self._by_topic]
        if silent:
            self.on_silent(silent)

    def hears(self, interest: Topic | str) -> bool:
        """Tells whether any socket here is subscribed to a topic, or belongs to a user."""
        return interest in (self._by_user if isinstance(interest, str) else self._by_topic)

    def listeners(self, interest: Topic | str) -> Collection[L]:
        """Gives the sockets subscribed to a topic, or those of a user."""
        return (self._by_user.get(interest) if isinstance(interest, str) else self._by_topic.get(interest)) or ()

    def audience(
        self,
        topics: Iterable[Topic],
        users: Iterable[str] = (),
        exclude: str | None = None,
        matched: Topic | str | None = None,
    ) -> Sequence[L]:
        """Gives the sockets that hear an event, each once.

        This is the guardrail (seed, "Subscriptions"): a socket hears an event because it is subscribed to one of its
        ``topics``, or because it belongs to one of the ``users`` for whom the event is "self", and for no other
        reason. There is no way to address everybody.

        exclude: the id of a socket that is left out: the sender of what is being relayed.
        via: the one of ``topics`` and ``users`` that brought this copy of the event, where each brings one: only its
            sockets hear it, and of these only those that no earlier one has: topics come first.

        As long as its subscribers stay the same, a topic gives the same tuple.
        """
        if matched is not None:
            named: Iterable[Topic | str] = (*topics, *users)
            earlier = takewhile(lambda interest: interest != matched, named)
            heard = [group for interest in earlier if (group := self.listeners(interest))]
            sockets = self._members_without(matched, heard)
        else:
            sockets = ()
            heard = []
            for topic in topics:
                if group := self.listeners(topic):
                    sockets += self._members_without(topic, heard)  # () + a tuple is that tuple
                    heard.append(group)
            for user_id in dict.fromkeys(users):  # a socket has one user: it can only have been heard of by topic
                sockets += self._members_without(user_id, heard)
        if exclude is not None:
            return [socket for socket in sockets if socket.context.socket_id != exclude]
        return sockets

    def _members_without(self, interest: Topic | str, heard: Sequence[Collection[L]]) -> tuple[L, ...]:
        members = self._members.get(interest)
        if members is None:
            members = tuple(self.listeners(interest))
            if members:
                self._members[interest] = members
        if heard:
            return tuple([socket for socket in members if not any(socket in other for other in heard)])
        return members

    def _discard(self, index: dict[K, set[L]], key: K, socket: L) -> None:
        group = index[key]
        group.discard(socket)
        self._members.pop(key, None)
        if not group:
            del index[key]
