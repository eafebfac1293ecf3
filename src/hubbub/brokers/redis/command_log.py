"""Keeps in Redis what no node may miss, and reads it again after a gap."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from hubbub.brokers.base import Publication
from hubbub.brokers.codec import BadPublication, decode
from hubbub.brokers.redis.journal import Journal, entries
from hubbub.outcome import Outcome
from hubbub.redis.channels import ALL_BUCKET, Channels
from hubbub.redis.cluster import Links
from hubbub.redis.command_queue import Parcel
from hubbub.redis.receipt import Receipt
from hubbub.redis.resp import command
from hubbub.redis.shard import Link
from hubbub.redis.throttled_logger import Complaints

TIME: Final = command(b"TIME")


class Keeping:
    """Does for a journal what needs a connection.

    kept: the types of publications that are kept. hand_over: takes what was missed.
    """

    def __init__(
        self,
        kept: Collection[str],
        links: Links,
        channels: Channels,
        complaints: Complaints,
        hand_over: Callable[[Publication], None],
    ) -> None:
        self._kept = frozenset(kept)
        self._links = links
        self._complaints = complaints
        self._hand_over = hand_over
        self._now: object = None
        self._journal = Journal(f"{channels.stem(ALL_BUCKET)}journal".encode())

    def keeps(self, publication: Publication) -> bool:
        """Tells whether a publication is of a type that is kept."""
        return publication.type in self._kept

    def knows(self, id: bytes) -> None:
        """Takes in that what is kept under an id has been heard."""
        self._journal.is_news(id)

    def keep(self, id: bytes, data: bytes, receipt: Receipt | None) -> bool:
        """Keeps a publication of this node; tells whether it could be sent."""
        self._journal.is_news(id)
        if not self._links:
            return False
        write, expire = self._journal.writing(data)
        link = self._links[ALL_BUCKET]
        if not link.send(Parcel(write, _ignore if receipt is None else receipt.count)):
            return False
        if receipt is not None:
            receipt.expected += 1
        link.send(Parcel(expire, _ignore))
        return True

    def is_fine(self, link: Link) -> None:
        """Remembers until when a server has delivered everything, by its own clock."""
        if self._kept and self._links.are_up:
            link.send(Parcel(TIME, lambda parcel, outcome, answer: self._journal.is_fine(link.address, answer)))

    def catch_up(self) -> None:
        """Reads what was kept while this node may have missed it: it is cut off no more."""
        if not self._kept:
            return
        link = self._links[ALL_BUCKET]
        reading = self._journal.reading(self._links.addresses)
        if reading is None:
            self._journal.all_is_fine(link.connected_at)
            return
        # What is kept after this time reaches this node, or is found by the next reading; answers come in order.
        link.send(Parcel(TIME, self._took_time))
        link.send(Parcel(reading, self._took_entries))

    def _took_time(self, parcel: Parcel, outcome: Outcome, answer: object) -> None:
        self._now = answer

    def _took_entries(self, parcel: Parcel, outcome: Outcome, answer: object) -> None:
        if outcome is not Outcome.ACCEPTED:
            if isinstance(answer, Exception):
                self._complaints.make("redis_refused", "refused: %s", answer)
            return
        self._journal.all_is_fine(self._now)
        for data in entries(answer):
            try:
                publication, id = decode(data, None)
            except BadPublication as error:
                self._complaints.make(f"redis_{error.fault}", "dropped what was kept: %s", error)
                continue
            if self._journal.is_news(id):
                self._hand_over(publication)


def _ignore(parcel: Parcel, outcome: Outcome, answer: object) -> None:
    """Settles what nobody waits for."""
