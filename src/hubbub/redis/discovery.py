"""Which server holds which bucket: one server, or the members of a Cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from hubbub.redis.channels import BUCKETS, slot_of
from hubbub.redis.connection import FAILURES, Address, Connector, UnusableServer
from hubbub.redis.resp import PubSubCommands

Placement: TypeAlias = tuple[Address | None, ...]
"""By bucket, the host and port of the server that holds it; None for the one server of the URL."""

ONE_SERVER: Placement = (None,) * BUCKETS


class Servers(NamedTuple):
    """What discovery has found."""

    placement: Placement
    pubsub: PubSubCommands
    """The commands with which these servers publish."""

    @property
    def is_cluster(self) -> bool:
        """Return whether the buckets are spread over a Cluster."""
        return self.placement != ONE_SERVER


async def discover(connector: Connector, known: Iterable[Address | None] = ()) -> Servers:
    """Ask the servers that are known, and the one of the URL last, until one says where the buckets are.

    Raises:
        Exception: One of `FAILURES`, the last server's; UnusableServer if a bucket has no server at the moment, or
            the only server is a replica.
    """
    addresses = list(dict.fromkeys((*known, None)))
    for address in addresses[:-1]:
        with contextlib.suppress(*FAILURES):
            return await _ask(connector, address)
    return await _ask(connector, addresses[-1])


async def _ask(connector: Connector, address: Address | None) -> Servers:
    connection = await connector.connect(address, "hubbub-find")
    try:
        async with asyncio.timeout(connector.timeout):
            info = await connection.info()
            if not info.is_cluster:
                info.require_primary()
                return Servers(ONE_SERVER, info.pubsub)
            if b"cluster_state:ok" not in await connection.execute(b"CLUSTER", b"INFO"):
                raise UnusableServer("the Cluster is not ready (cluster_state is not ok): see CLUSTER INFO")
            host = connector.host if address is None else address[0]
            return Servers(parse_slots(await connection.execute(b"CLUSTER", b"SLOTS"), host), info.pubsub)
    finally:
        await connection.abort()


def parse_slots(slots: Sequence[Sequence[Any]], host: str) -> Placement:
    """Read the answer to CLUSTER SLOTS (https://redis.io/docs/latest/commands/cluster-slots/).

    Args:
        slots: The answer.
        host: The host that answered; it stands for a server that does not know its own.

    Raises:
        UnusableServer: A bucket has no server.
    """
    return tuple(_primary_of(slot_of(bucket), slots, host) for bucket in range(BUCKETS))


def _primary_of(slot: int, slots: Sequence[Sequence[Any]], host: str) -> Address:
    for first, last, primary, *_ in slots:
        if first <= slot <= last:
            named, port = primary[:2]
            return (named.decode() if named else host, port)
    raise UnusableServer(f"the Cluster does not cover all slots: slot {slot} has no server")
