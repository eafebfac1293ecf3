"""The shard connections of a node: one to each server that holds a bucket, wherever a Cluster moves the buckets."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterable
from typing import Final

from hubbub.backoff import Backoff
from hubbub.contract.topics import Interest
from hubbub.redis.channels import COMMON_BUCKET, Channels
from hubbub.redis.command_queue import OnResult, PublishResult
from hubbub.redis.connection import FAILURES, Address, Connector
from hubbub.redis.discovery import Placement, discover
from hubbub.redis.resp import redis_command
from hubbub.redis.shard import ShardConnection, ShardListener, Timing
from hubbub.redis.subscriptions import Confirmation

REFRESH_PAUSE: Final = 0.2
"""The seconds between two refreshes of a Cluster that seems to be changing."""

CONFIRM_SECONDS: Final = 3.0
"""The longest wait of a new listener for Redis. After it, the listener's first events may be missing: a resync
follows."""


class ClusterConnections:
    """Discovers where the buckets are, keeps a connection to each server, and sends each command to the right one.

    A single server is a Cluster of one.
    """

    def __init__(
        self, connector: Connector, channels: Channels, listener: ShardListener, timing: Timing, max_bytes: int
    ) -> None:
        self._connector = connector
        self._channels = channels
        self._listener = listener
        self._timing = timing
        self._max_bytes = max_bytes
        self._by_bucket: list[ShardConnection] = []
        self._by_address: dict[Address | None, ShardConnection] = {}
        self._stale = asyncio.Event()
        self._refreshing: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Return whether it was started, and not stopped since."""
        return bool(self._by_bucket)

    @property
    def addresses(self) -> list[Address | None]:
        """Return the servers there is a connection to."""
        return list(self._by_address)

    @property
    def are_up(self) -> bool:
        """Return whether every bucket has a server that delivers."""
        return bool(self._by_address) and all(shard.is_up for shard in self._by_address.values())

    @property
    def common_shard(self) -> ShardConnection | None:
        """Return the connection to the server of what exists once per system; None while not running."""
        return self._by_bucket[COMMON_BUCKET] if self._by_bucket else None

    async def start(self) -> None:
        """Find out where the buckets are, and begin to connect; raise what a connection fails with."""
        servers = await discover(self._connector)
        self._place(servers.placement)
        if servers.is_cluster:
            self._refreshing = asyncio.create_task(self._refresh(), name="hubbub cluster refresh")

    async def drain(self, seconds: float) -> None:
        """Wait until everything that is on its way has been answered, at most `seconds`."""
        result = PublishResult()
        for shard in self._by_address.values():
            result.expected += shard.execute(redis_command(b"PING"), result.command_done)
        await result.outcome(seconds)

    async def stop(self) -> None:
        """Disconnect."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait({self._refreshing})
            self._refreshing = None
        shards, self._by_address, self._by_bucket = list(self._by_address.values()), {}, []
        await asyncio.gather(*(shard.stop() for shard in shards), *self._ending)

    def mark_stale(self) -> None:
        """Schedule a refresh: a command failed in a way that suggests that slots have moved."""
        self._stale.set()

    # --- publishing and subscribing -----------------------------------------------------------------------------------

    def publish(self, interest: Interest, data: bytes, on_result: OnResult) -> bool:
        """Queue a message for the channel of an interest; return False if it cannot be sent."""
        if not self._by_bucket:
            return False
        bucket, channel = self._channels.locate(interest)
        return self._by_bucket[bucket].publish(channel, data, on_result, interest)

    def publish_to_all(self, data: bytes, on_result: OnResult) -> bool:
        """Queue a message for the channel that every node hears; return False if it cannot be sent."""
        shard = self.common_shard
        return shard is not None and shard.publish(self._channels.all, data, on_result, None)

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Subscribe to the channels of interests, together with all that are asked for in one turn of the loop.

        Returns:
            What to wait for until they are confirmed, or until that takes too long; None if there is nothing to wait
            for.
        """
        unconfirmed: dict[ShardConnection, list[bytes]] = {}
        for interest in interests if self._by_bucket else ():
            bucket, channel = self._channels.locate(interest)
            shard = self._by_bucket[bucket]
            if not shard.subscriptions.subscribe(channel, interest):
                unconfirmed.setdefault(shard, []).append(channel)
        for shard in unconfirmed:
            shard.request_subscriptions()
        return _confirmation(unconfirmed) if unconfirmed else None

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        """Unsubscribe from the channels of interests a little later, unless they get a listener again."""
        for interest in interests if self._by_bucket else ():
            bucket, channel = self._channels.locate(interest)
            self._by_bucket[bucket].unsubscribe(channel)

    # --- where the buckets are ----------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Discover where the buckets are whenever that may have changed; after a failure, retry with backoff."""
        backoff = Backoff()
        while True:
            await self._stale.wait()
            self._stale.clear()
            up = [shard.address for shard in self._by_address.values() if shard.is_up]
            try:
                servers = await discover(self._connector, (*up, *self._by_address))
            except FAILURES:
                self._stale.set()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._place(servers.placement)
            await asyncio.sleep(REFRESH_PAUSE)

    def _place(self, placement: Placement) -> None:
        """Open and close connections as needed, and move each channel to the server of its bucket.

        The order matters. Channels move before their former connection closes, so none is lost with it, and before new
        connections start, so a new connection subscribes to all of its channels before it counts as up. Connections
        that stay ask again at the end for channels that they have lost to a slot that moved away and back.
        """
        former, self._by_address = self._by_address, {}
        for bucket, address in enumerate(placement):
            if address not in self._by_address:
                self._by_address[address] = former.get(address) or self._open(address)
                self._by_address[address].use_probe_channel(self._channels.probe(bucket, secrets.token_hex(8)))
        self._by_bucket = [self._by_address[address] for address in placement]
        for shard in former.values():
            self._move_channels(shard)
            if shard.address not in self._by_address:
                self._close(shard)
        self._by_bucket[COMMON_BUCKET].subscriptions.subscribe(self._channels.all, None)
        for address, shard in self._by_address.items():
            if address not in former:
                shard.start()
            shard.subscriptions.resubscribe()
            shard.request_subscriptions()

    def _open(self, address: Address | None) -> ShardConnection:
        return ShardConnection(address, self._connector, self._listener, self._timing, self._max_bytes)

    def _move_channels(self, shard: ShardConnection) -> None:
        moved = [channel for channel in shard.channels() if self._server_of(channel) is not shard]
        for channel, interest in shard.subscriptions.transfer(moved):
            self._server_of(channel).subscriptions.subscribe(channel, interest, needs_resync=True)

    def _server_of(self, channel: bytes) -> ShardConnection:
        return self._by_bucket[self._channels.bucket(channel)]

    def _close(self, shard: ShardConnection) -> None:
        task = asyncio.create_task(shard.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _confirmation(unconfirmed: dict[ShardConnection, list[bytes]]) -> asyncio.Future[None]:
    """Return a future that is done once all channels are confirmed, or once that takes too long."""
    loop = asyncio.get_running_loop()
    confirmed: asyncio.Future[None] = loop.create_future()
    missing = len(unconfirmed)

    def shard_confirmed() -> None:
        nonlocal missing
        missing -= 1
        if not missing and not confirmed.done():
            confirmed.set_result(None)

    waits: list[tuple[ShardConnection, Confirmation]] = [
        (shard, shard.subscriptions.wait(channels, shard_confirmed)) for shard, channels in unconfirmed.items()
    ]

    def time_out() -> None:
        for shard, wait in waits:
            if wait.missing:
                shard.subscriptions.time_out(wait)

    timer = loop.call_later(CONFIRM_SECONDS, time_out)
    confirmed.add_done_callback(lambda _: timer.cancel())
    return confirmed
