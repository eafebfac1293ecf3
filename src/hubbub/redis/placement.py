"""Which server of a Cluster holds which bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from hubbub.redis.channels import BUCKETS, slot_of

#: By bucket, the host and port of the server that holds it; None for the one server of the URL.
Placement: TypeAlias = tuple[tuple[str, int] | None, ...]

ONE_SERVER: Placement = (None,) * BUCKETS


def placement_of(slots: Sequence[Sequence[Any]], host: str) -> Placement:
    """Reads the answer to CLUSTER SLOTS (https://redis.io/docs/latest/commands/cluster-slots/).

    host: where the answer came from; it stands for a server that does not know its own.

    Raises LookupError where a bucket has no server: the Cluster is not whole.
    """
    return tuple(_primary_of(slot_of(bucket), slots, host) for bucket in range(BUCKETS))


def _primary_of(slot: int, slots: Sequence[Sequence[Any]], host: str) -> tuple[str, int]:
    for first, last, primary, *_ in slots:
        if first <= slot <= last:
            named, port = primary[:2]
            return (named.decode() if named else host, port)
    raise LookupError(f"slot {slot} has no server")
