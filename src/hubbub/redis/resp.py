"""Commands in the protocol of Redis (RESP): https://redis.io/docs/latest/develop/reference/protocol-spec/."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Final, NamedTuple

NAMES_PER_COMMAND: Final = 512
"""The most channels named in one SUBSCRIBE: a server does nothing else while it works on one."""


def redis_command(*words: bytes) -> bytes:
    """Return the bytes of one command."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class PubSubCommands(NamedTuple):
    """The commands of publish/subscribe, and the kinds of message that answer them.

    They are sharded since Redis 7, so that a Cluster does not send every message to all its members.
    """

    publish_word: bytes
    subscribe_word: bytes
    unsubscribe_word: bytes
    message: bytes
    subscribed: bytes
    unsubscribed: bytes

    def publish(self, channel: bytes, data: bytes) -> bytes:
        """Return the command that publishes."""
        word = self.publish_word
        return b"*3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            *(len(word), word, len(channel), channel),
            *(len(data), data),
        )

    def subscribe(self, channels: Iterable[bytes]) -> bytes:
        """Return the commands that subscribe, as few as a Cluster allows: the channels of a bucket share a slot."""
        return b"".join(redis_command(self.subscribe_word, *names) for names in _by_bucket(channels))

    def unsubscribe(self, channels: Iterable[bytes]) -> bytes:
        """Return the commands that unsubscribe."""
        return b"".join(redis_command(self.unsubscribe_word, *names) for names in _by_bucket(channels))


SHARDED: Final = PubSubCommands(
    b"SPUBLISH", b"SSUBSCRIBE", b"SUNSUBSCRIBE", b"smessage", b"ssubscribe", b"sunsubscribe"
)
PLAIN: Final = PubSubCommands(b"PUBLISH", b"SUBSCRIBE", b"UNSUBSCRIBE", b"message", b"subscribe", b"unsubscribe")


def _stem(channel: bytes) -> bytes:
    return channel[: channel.index(b"}")]


def _by_bucket(channels: Iterable[bytes]) -> Iterator[list[bytes]]:
    for _, group in groupby(sorted(channels, key=_stem), key=_stem):
        while names := list(islice(group, NAMES_PER_COMMAND)):
            yield names
