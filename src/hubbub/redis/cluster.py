"""The links of a node: one to each server that holds a bucket, wherever a Cluster moves it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Final

from hubbub.redis.backoff import Backoff
from hubbub.redis.channels import ALL_BUCKET, Channels
from hubbub.redis.command_queue import Parcel
from hubbub.redis.connection import FAILURES, Address, Dialer, read_hello
from hubbub.redis.placement import ONE_SERVER, Placement, placement_of
from hubbub.redis.receipt import Receipt
from hubbub.redis.resp import command
from hubbub.redis.shard import Link, Owner, Timing

LOOK_SECONDS: Final = 0.2
"""The pause between two looks at a Cluster that seems to be changing."""


class Links:
    """Finds out where buckets are, and keeps a link to each place."""

    def __init__(self, dialer: Dialer, channels: Channels, owner: Owner, timing: Timing, max_bytes: int) -> None:
        self._dialer = dialer
        self._channels = channels
        self._owner = owner
        self._timing = timing
        self._max_bytes = max_bytes
        self._by_bucket: list[Link] = []
        self._by_address: dict[Address | None, Link] = {}
        self._doubt = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._by_bucket)

    def __getitem__(self, bucket: int) -> Link:
        return self._by_bucket[bucket]

    @property
    def addresses(self) -> list[Address | None]:
        """Gives the servers there is a link to."""
        return list(self._by_address)

    @property
    def are_up(self) -> bool:
        """Tells whether every bucket has a link that works."""
        return bool(self._by_address) and all(link.is_up for link in self._by_address.values())

    async def start(self) -> None:
        """Asks where buckets are, and begins to connect; raises what a connection fails with, or LookupError."""
        placement = await self._find()
        self._place(placement)
        if placement != ONE_SERVER:
            self._watching = asyncio.create_task(self._watch(), name="hubbub watches a Cluster")

    async def drain(self, seconds: float) -> None:
        """Waits until everything that is on its way has been answered, at most ``seconds``."""
        receipt = Receipt(lambda parcel, outcome, answer: None)
        for link in self._by_address.values():
            receipt.expected += link.send(Parcel(command(b"PING"), receipt.settle))
        await receipt.outcome(seconds)

    async def stop(self) -> None:
        """Disconnects."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})
            self._watching = None
        links, self._by_address, self._by_bucket = list(self._by_address.values()), {}, []
        await asyncio.gather(*(link.stop() for link in links), *self._ending)

    def doubt(self) -> None:
        """Has somebody look whether buckets have moved: something did not go as it would if they had not."""
        self._doubt.set()

    async def _watch(self) -> None:
        backoff = Backoff()
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            try:
                placement = await self._find()
            except (*FAILURES, LookupError):
                self._doubt.set()
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._place(placement)
            await asyncio.sleep(LOOK_SECONDS)

    async def _find(self) -> Placement:
        """Asks the servers that are known, and last the one of the URL, until one can tell."""
        known = [link.address for link in self._by_address.values() if link.is_up]
        addresses = list(dict.fromkeys((*known, *self._by_address, None)))
        for address in addresses[:-1]:
            with contextlib.suppress(*FAILURES, LookupError):
                return await self._ask(address)
        return await self._ask(addresses[-1])

    async def _ask(self, address: Address | None) -> Placement:
        wire = await self._dialer.dial(address, "hubbub-find")
        try:
            async with asyncio.timeout(self._timing.connect):
                if not read_hello(await wire.ask(b"HELLO")).is_cluster:
                    return ONE_SERVER
                if b"cluster_state:ok" not in await wire.ask(b"CLUSTER", b"INFO"):
                    raise LookupError("the Cluster is not whole: see CLUSTER INFO")
                host = self._dialer.host if address is None else address[0]
                return placement_of(await wire.ask(b"CLUSTER", b"SLOTS"), host)
        finally:
            await wire.hang_up()

    def _place(self, placement: Placement) -> None:
        """Makes and ends links as needed, and moves each channel to the link of its bucket."""
        former, self._by_address = self._by_address, {}
        for bucket, address in enumerate(placement):
            if address not in self._by_address:
                self._by_address[address] = former.get(address) or self._make(address)
                self._by_address[address].probe.next_channel = self._channels.probe(bucket, secrets.token_hex(8))
        self._by_bucket = [self._by_address[address] for address in placement]
        for link in former.values():
            self._move_from(link)
            if link.address not in self._by_address:
                self._end(link)
        self._by_bucket[ALL_BUCKET].listening.want(self._channels.all, None)
        for address, link in self._by_address.items():
            if address not in former:
                link.start()
            link.listening.again()
            link.ask()

    def _make(self, address: Address | None) -> Link:
        return Link(address, self._dialer, self._owner, self._timing, self._max_bytes)

    def _move_from(self, link: Link) -> None:
        moved = [
            channel
            for channel in link.listening.channels()
            if channel != link.probe.channel and self._by_bucket[self._channels.bucket(channel)] is not link
        ]
        for channel, interest in link.listening.surrender(moved):
            self._by_bucket[self._channels.bucket(channel)].listening.want(channel, interest, owed=True)

    def _end(self, link: Link) -> None:
        task = asyncio.create_task(link.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
