"""What a node wants the broker to bring it: what its sockets listen to, and what a socket is about to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from hubbub.brokers.base import Broker
from hubbub.bus.hub import Hub
from hubbub.contract.topics import Interest


class Interests:
    """Keeps the broker's interests in step with the hub.

    Whoever adds a listener holds its interests until the hub has it: then a listener that leaves at the same moment
    cannot withdraw what another one is about to rely on.
    """

    def __init__(
        self, broker: Broker, hub: Hub[Any], on_withdrawn: Callable[[Sequence[Interest]], None] = lambda interests: None
    ) -> None:
        """on_withdrawn: is told what nobody here listens to any more."""
        self._broker = broker
        self._on_withdrawn = on_withdrawn
        self._hub = hub
        self._held: dict[Interest, int] = {}  # how often
        hub.on_silent = self._withdraw

    def hold(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Declares interests; every call has one ``release``, whatever becomes of the wait.

        Gives what to wait for until nothing that is published for them is missed; None where that is so at once.
        """
        wanted, held = list(interests), self._held
        for interest in wanted:  # one by one: for a few, Counter's own arithmetic costs more than all the rest
            held[interest] = held.get(interest, 0) + 1
        return self._broker.listen(wanted) if wanted else None

    def release(self, interests: Sequence[Interest]) -> None:
        """Ends a hold: the interests that no listener has by now are withdrawn."""
        held = self._held
        for interest in interests:
            if held[interest] == 1:
                del held[interest]
            else:
                held[interest] -= 1
        self._withdraw(interests)

    def _withdraw(self, interests: Iterable[Interest]) -> None:
        unused = [interest for interest in interests if interest not in self._held and not self._hub.hears(interest)]
        if unused:
            self._broker.unlisten(unused)
            self._on_withdrawn(unused)
