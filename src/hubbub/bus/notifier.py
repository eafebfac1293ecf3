"""How REST reaches the bus without depending on it: the seed's ``initNotifier`` and ``notify``.

A REST module imports ``notify`` and the events it emits, and nothing else of the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from hubbub.contract.envelope import Envelope
from hubbub.contract.registry import ServerEvent

Event: TypeAlias = Envelope[ServerEvent] | ServerEvent
Emit: TypeAlias = Callable[[Event, Iterable[str] | None], None]

_emit: Emit | None = None


def init_notifier(emit: Emit | None) -> None:
    """Connects ``notify`` to a running bus, or with None disconnects it. The gateway calls it, nobody else needs to."""
    global _emit
    _emit = emit


def current_notifier() -> Emit | None:
    """Gives what ``notify`` hands events to, so that a gateway that stops disconnects nobody but itself."""
    return _emit


def notify(event: Event, *, users: Iterable[str] | None = None) -> None:
    """Publishes a server event to everyone who subscribed to it and may hear it; never waits.

    Callable from async code, from any thread, and when no gateway runs, where it does nothing. A bare payload is
    wrapped in an envelope stamped now.

    users: for an event declared ``addressed``, and only for such, the users whose sockets hear it.

    The promise is at most once: what is known to be lost is followed by ``server.system.resync``.

    Raises ContractError where the event is not one that this gateway may publish, before anything is published.
    """
    if _emit is not None:
        _emit(event, users)
