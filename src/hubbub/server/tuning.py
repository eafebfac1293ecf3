"""Settings of a process that serves sockets: its file limit, its garbage collector, its send buffers."""

from __future__ import annotations

import gc
import logging
import socket
import sys
from typing import Final

if sys.platform != "win32":
    import resource

GC_THRESHOLD: Final = 10_000
"""Objects that are allocated between two garbage collections (docs/decisions/0005).

Python's own 700 is too few where each connection allocates a few dozen that stay.
"""

MAX_UNSENT_IN_KERNEL: Final = 64 * 1024
"""Bytes that the kernel takes from us for one connection and has not sent yet (TCP_NOTSENT_LOWAT, tcp(7)).

By default it takes up to 4 MiB for a peer that has stopped reading, and `Limits.unsent_bytes` would count only what
comes after that. Bytes that are sent and not acknowledged do not count here, so no peer that reads is slowed down
(docs/decisions/0008).
"""

logger = logging.getLogger("hubbub.server")


def raise_file_limit() -> None:
    """Raise the soft limit on file descriptors to the hard one, and log it if that changes anything.

    A socket takes a descriptor. On most systems the soft limit is 1,024, for programs that call select(2), which cannot
    handle higher descriptors; a server does not call it.
    """
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:  # macOS calls its hard limit unlimited, and means another number
        logger.info("the limit on file descriptors stays at %d: %s", soft, error)
        return
    shown = "unlimited" if hard == resource.RLIM_INFINITY else hard
    logger.info("the limit on file descriptors was %d, and is now %s", soft, shown)


def tune_garbage_collector() -> None:
    """Exempt everything that exists now from garbage collection, and collect less often (docs/decisions/0005)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])


def limit_unsent_in_kernel(listening: socket.socket) -> None:
    """Limit what the kernel takes for each connection of a listening socket; connections inherit it at no cost."""
    if listening.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_IN_KERNEL)
