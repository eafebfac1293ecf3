"""The interests of a node at the broker: what its sockets listen to, and what a socket is about to listen to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any

from hubbub.brokers.base import Broker
from hubbub.bus.hub import Hub
from hubbub.contract.topics import Interest


class Interests:
    """Keeps the broker's subscriptions of this node in step with the hub.

    Code that adds a listener holds its interests until the hub has the listener. Otherwise a listener that leaves at
    the same moment would unsubscribe from an interest that the new one is about to rely on.

    Args:
        broker: Where the node is subscribed.
        hub: Knows which interests have a listener.
        on_unsubscribed: Called with interests that nobody here listens to any more.
    """

    def __init__(self, broker: Broker, hub: Hub[Any], on_unsubscribed: Callable[[Sequence[Interest]], None]) -> None:
        self._broker = broker
        self._hub = hub
        self._on_unsubscribed = on_unsubscribed
        self._held: dict[Interest, int] = {}  # how often
        hub.observe_unused(self._unsubscribe_unused)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Interest]:
        return iter(self._held)

    def hold(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Subscribe to interests. Every call needs one `release`, also if the wait is given up.

        Returns:
            What to wait for until no publication for them is missed; None if that is so already.
        """
        wanted, held = list(interests), self._held
        for interest in wanted:  # one by one: for a few, Counter's own arithmetic costs more than all the rest
            held[interest] = held.get(interest, 0) + 1
        return self._broker.subscribe(wanted) if wanted else None

    def release(self, interests: Sequence[Interest]) -> None:
        """End a hold: unsubscribe from the interests without a listener."""
        held = self._held
        for interest in interests:
            if held[interest] == 1:
                del held[interest]
            else:
                held[interest] -= 1
        self._unsubscribe_unused(interests)

    def _unsubscribe_unused(self, interests: Iterable[Interest]) -> None:
        has_listeners = self._hub.has_listeners
        unused = [interest for interest in interests if interest not in self._held and not has_listeners(interest)]
        if unused:
            self._broker.unsubscribe(unused)
            self._on_unsubscribed(unused)
