"""The machine that the benchmark runs on."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path


def describe() -> dict[str, str]:
    """Return what a reader of the report must know about this machine."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "processor": processor,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**20:.0f} GiB",
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def max_sockets() -> int:
    """Return how many sockets one process may open here; a tenth of its file descriptors is left for other uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return int(hard * 0.9) - 64


def _lines(file: str) -> list[str]:
    return Path(file).read_text().splitlines()
