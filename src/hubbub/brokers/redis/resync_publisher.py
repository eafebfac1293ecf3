"""What this node published and lost is made good: the listeners, on all nodes, are told to fetch again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.brokers.codec import Ids, encode
from hubbub.brokers.redis.pending_resyncs import Debts
from hubbub.contract.topics import Interest
from hubbub.outcome import Outcome
from hubbub.redis.channels import ALL_BUCKET, Channels
from hubbub.redis.cluster import Links
from hubbub.redis.command_queue import Parcel
from hubbub.redis.throttled_logger import Complaints

RESYNC: Final = "hubbub.resync"
"""The type of a publication that tells the nodes, and no socket, that its audience may have missed something."""

MAX_NOTES: Final = 1000
"""Notes of that kind that are sent one by one; beyond that one tells every node to resync everybody."""

PAUSE_SECONDS: Final = 1.0
"""Between two attempts."""


class Amends:
    """Remembers what was lost, and publishes a note about it, until the note was taken."""

    def __init__(self, links: Links, channels: Channels, ids: Ids, complaints: Complaints) -> None:
        self._links = links
        self._channels = channels
        self._ids = ids
        self._complaints = complaints
        self._debts = Debts()
        self._next: asyncio.TimerHandle | None = None

    def settle(self, parcel: Parcel, outcome: Outcome, answer: object) -> None:
        """Takes in what became of a publication on the way to one channel; None is that of every node."""
        if outcome is Outcome.ACCEPTED:
            return
        if isinstance(answer, Exception):
            self._complaints.make("redis_refused", "refused: %s", answer)
            self._links.doubt()
        else:
            self._complaints.make("redis_lost", "may be lost: what was under way when the connection failed")
        if parcel.interest is None:
            self._debts.add_all()
        self.owe(() if parcel.interest is None else (parcel.interest,))

    def owe(self, interests: Iterable[Interest]) -> None:
        """Remembers the interests of something that was lost."""
        self._debts.add(interests)
        if self._next is None and self._links:
            self._next = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.make)

    def make(self) -> None:
        """Sends the notes there are to send; those that cannot be sent are tried again."""
        self.stop()
        if not self._debts or not self._links:
            return
        owed = self._debts.take()
        if owed is None or len(owed) > MAX_NOTES:
            if not self._send(ALL_BUCKET, self._channels.all, None):
                self._debts.add_all()
        else:
            self._debts.add([one for one in owed if not self._send(*self._channels.locate(one), one)])
        if self._debts:
            self.owe(())

    def stop(self) -> None:
        """Does not try again by itself; what is owed stays so."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _send(self, bucket: int, channel: bytes, interest: Interest | None) -> bool:
        link = self._links[bucket]
        users = (interest,) if isinstance(interest, str) else ()
        topics = () if interest is None or isinstance(interest, str) else (interest,)
        note = encode(Publication(RESYNC, b"", topics, users), self._ids.next())
        return link.send(Parcel(link.dialect.publish(channel, note), self.settle, interest))
