"""The registry of sockets by user and by topic, and the one place that decides who hears an event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Generic, Protocol, TypeAlias, TypeVar

from hubbub.context import Context
from hubbub.contract.topics import Interest, Topic


class Listener(Protocol):
    """What the hub needs of a socket."""

    @property
    def context(self) -> Context:
        """The socket's identity."""

    @property
    def subscriptions(self) -> dict[Topic, None]:
        """The topics the socket is subscribed to; only the hub changes them."""


L = TypeVar("L", bound=Listener)
K = TypeVar("K", Topic, str)

OnUnused: TypeAlias = Callable[[Sequence[Interest]], None]
"""Called with topics whose last subscriber here is gone, and with users whose last socket here is."""


class Hub(Generic[L]):
    """Knows every registered socket of this process. Pure: no I/O, no clock."""

    def __init__(self) -> None:
        self._on_unused: OnUnused | None = None
        self._sockets: dict[str, L] = {}
        self._by_user: dict[str, set[L]] = {}
        self._by_topic: dict[Topic, set[L]] = {}
        self._members: dict[Interest, tuple[L, ...]] = {}  # of interests that were asked for since they last changed

    def __len__(self) -> int:
        return len(self._sockets)

    def __iter__(self) -> Iterator[L]:
        return iter(list(self._sockets.values()))

    def __contains__(self, socket: L) -> bool:
        return socket.context.socket_id in self._sockets

    @property
    def user_count(self) -> int:
        """Return the number of users with at least one socket here."""
        return len(self._by_user)

    @property
    def topic_count(self) -> int:
        """Return the number of topics with at least one subscriber here."""
        return len(self._by_topic)

    def observe_unused(self, on_unused: OnUnused) -> None:
        """Call back for interests that lose their last listener here, in place of an earlier callback."""
        self._on_unused = on_unused

    def get(self, socket_id: str) -> L | None:
        """Return a registered socket, or None."""
        return self._sockets.get(socket_id)

    def register(self, socket: L) -> None:
        """Add an authenticated socket; it hears its user's "self" events from now on."""
        self._sockets[socket.context.socket_id] = socket
        self._by_user.setdefault(socket.context.user_id, set()).add(socket)
        self._members.pop(socket.context.user_id, None)

    def unregister(self, socket: L) -> None:
        """Remove a socket and its subscriptions; do nothing if it is not registered."""
        if self._sockets.pop(socket.context.socket_id, None) is None:
            return
        user_id = socket.context.user_id
        self._discard(self._by_user, user_id, socket)
        self._unsubscribe(socket, list(socket.subscriptions))
        if user_id not in self._by_user and self._on_unused is not None:
            self._on_unused((user_id,))

    def replace(self, socket: L, topics: Iterable[Topic]) -> list[Topic]:
        """Replace a registered socket's whole set of subscriptions; return the topics that are new."""
        wanted = dict.fromkeys(topics)
        held = socket.subscriptions
        added = [topic for topic in wanted if topic not in held]
        self._unsubscribe(socket, [topic for topic in held if topic not in wanted])
        for topic in added:
            held[topic] = None
            self._by_topic.setdefault(topic, set()).add(socket)
            self._members.pop(topic, None)
        return added

    def _unsubscribe(self, socket: L, topics: list[Topic]) -> None:
        for topic in topics:
            del socket.subscriptions[topic]
            self._discard(self._by_topic, topic, socket)
        unused = [topic for topic in topics if topic not in self._by_topic]
        if unused and self._on_unused is not None:
            self._on_unused(unused)

    def has_listeners(self, interest: Interest) -> bool:
        """Return whether a socket here is subscribed to a topic, or belongs to a user."""
        return interest in (self._by_user if isinstance(interest, str) else self._by_topic)

    def listeners(self, interest: Interest) -> Collection[L]:
        """Return the sockets subscribed to a topic, or those of a user."""
        return (self._by_user.get(interest) if isinstance(interest, str) else self._by_topic.get(interest)) or ()

    def audience(
        self,
        topics: Iterable[Topic],
        users: Iterable[str] = (),
        exclude: str | None = None,
        matched: Interest | None = None,
    ) -> Sequence[L]:
        """Return the sockets that hear an event, each once.

        This is the guardrail (seed, "Subscriptions"): a socket hears an event because it is subscribed to one of its
        topics, or because it belongs to a user for which the event is "self", and for no other reason. There
        is no way to address every socket.

        As long as its subscribers stay the same, a topic returns the same tuple.

        Args:
            topics: The event's topics.
            users: The users for which it is "self".
            exclude: The id of a socket that is left out: the sender of a relayed event.
            matched: The topic or user that brought this copy of the event, if each brings one. Only its listeners hear
                this copy, and of these only those that no earlier copy reached; topics come before users.
        """
        if matched is not None:
            named: Iterable[Interest] = (*topics, *users)
            earlier = takewhile(lambda interest: interest != matched, named)
            reached = [group for interest in earlier if (group := self.listeners(interest))]
            sockets = self._members_without(matched, reached)
        else:
            sockets = ()
            reached = []
            for topic in topics:
                if group := self.listeners(topic):
                    sockets += self._members_without(topic, reached)  # () + a tuple is that tuple
                    reached.append(group)
            for user_id in dict.fromkeys(users):  # a socket has one user, so only a topic can have reached it already
                sockets += self._members_without(user_id, reached)
        if exclude is not None:
            return [socket for socket in sockets if socket.context.socket_id != exclude]
        return sockets

    def _members_without(self, interest: Interest, reached: Sequence[Collection[L]]) -> tuple[L, ...]:
        members = self._members.get(interest)
        if members is None:
            members = tuple(self.listeners(interest))
            if members:
                self._members[interest] = members
        if reached:
            return tuple([socket for socket in members if not any(socket in other for other in reached)])
        return members

    def _discard(self, index: dict[K, set[L]], key: K, socket: L) -> None:
        group = index[key]
        group.discard(socket)
        self._members.pop(key, None)
        if not group:
            del index[key]
