"""Commands as Redis reads them (RESP): https://redis.io/docs/latest/develop/reference/protocol-spec/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Final, NamedTuple

NAMES_PER_COMMAND: Final = 512
"""Channels named in one SUBSCRIBE: a server does nothing else meanwhile."""


def command(*words: bytes) -> bytes:
    """Writes one command."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Dialect(NamedTuple):
    """How a server speaks of publishing: sharded since version 7, so that a Cluster does not tell all its members."""

    publish_word: bytes
    subscribe_word: bytes
    unsubscribe_word: bytes
    message: bytes
    subscribed: bytes
    unsubscribed: bytes

    def publish(self, channel: bytes, data: bytes) -> bytes:
        """Writes the command that publishes."""
        word = self.publish_word
        return b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            *(len(word), word, len(channel), channel),
            *(len(data), data),
        )

    def subscribe(self, channels: Iterable[bytes]) -> bytes:
        """Writes the commands that subscribe to channels, as few as a Cluster allows: a bucket's are in one slot."""
        return b"".join(command(self.subscribe_word, *names) for names in _by_bucket(channels))

    def unsubscribe(self, channels: Iterable[bytes]) -> bytes:
        """Writes the commands that unsubscribe from channels."""
        return b"".join(command(self.unsubscribe_word, *names) for names in _by_bucket(channels))


SHARDED: Final = Dialect(b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE", b"smessage", b"ssubscribe", b"sunsubscribe")
PLAIN: Final = Dialect(b"PUBLISH", b"SUBSCRIBE", b"UNSUBSCRIBE", b"message", b"subscribe", b"unsubscribe")


def _stem(channel: bytes) -> bytes:
    return channel[: channel.index(b"}")]


def _by_bucket(channels: Iterable[bytes]) -> Iterator[list[bytes]]:
    for _, group in groupby(sorted(channels, key=_stem), key=_stem):
        while names := list(islice(group, NAMES_PER_COMMAND)):
            yield names
