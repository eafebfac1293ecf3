"""The services that all sockets of one gateway share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hubbub.bus.hub import Hub
from hubbub.bus.interests import Interests
from hubbub.bus.write_batcher import WriteBatcher
from hubbub.clock import Clock
from hubbub.connections.dispatcher import Dispatcher
from hubbub.connections.heartbeat import Heartbeat
from hubbub.connections.router import Router
from hubbub.contract.registry import Contract
from hubbub.frames import CodecPool
from hubbub.limits import Limits
from hubbub.metrics.stats import Stats
from hubbub.presence.base import PresenceStore


class Hook(NamedTuple):
    """A domain's `on_connect` or `on_disconnect`."""

    call: Callable[..., Awaitable[None] | None]
    name: str
    """For the log and the metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all sockets of one gateway share; the gateway makes it when it starts."""

    contract: Contract
    router: Router
    hub: Hub[Any]
    batcher: WriteBatcher[Any]
    heartbeat: Heartbeat[Any]
    dispatcher: Dispatcher
    codecs: CodecPool
    interests: Interests
    limits: Limits
    clock: Clock
    stats: Stats
    presence: PresenceStore
    connect_hooks: Sequence[Hook]
    disconnect_hooks: Sequence[Hook]
