"""How REST reaches the bus without depending on it: the seed's `initNotifier` and `notify`.

A REST module imports `notify` and the events it publishes, and nothing else of the bus.
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
    """Connect `notify` to a running bus, or disconnect it with None. The gateway calls it; nobody else has to.

    Args:
        emit: Called with each event and its users.
    """
    global _emit
    _emit = emit


def current_notifier() -> Emit | None:
    """Return what `notify` is connected to, so that a gateway that stops disconnects nobody but itself."""
    return _emit


def notify(event: Event, *, users: Iterable[str] | None = None) -> None:
    """Publish a server event to every socket that subscribed to it and may hear it. Never waits.

    It can be called from async code and from any thread. Without a running gateway it does nothing. The promise is at
    most once: if the bus knows that the event may be lost, its listeners get `server.system.resync`.

    Args:
        event: A payload, which is wrapped in an envelope with the current time, or an envelope.
        users: For an event declared `addressed`, and only for such, the users whose sockets hear it.

    Raises:
        ContractError: The gateway may not publish this event. Nothing was published.
    """
    if _emit is not None:
        _emit(event, users)
