"""The names of channels and keys in Redis, and the buckets that keep related names in one hash slot.

Everything about a user is in that user's bucket: their presence, the topic that others watch, and the channel for
events addressed to the user. So one script can change a presence and publish the change, on a Cluster as on a single
server: all keys and channels of a script must be in one hash slot. A bucket is a hash tag: `hubbub:{b17}:…`.
"""

from __future__ import annotations

import re
from binascii import crc32, crc_hqx
from typing import Final

from hubbub.contract.topics import Interest, Topic
from hubbub.errors import ConfigurationError

BUCKETS: Final = 256
"""Enough to spread evenly over any Cluster, and few enough to make one script call per bucket cheap."""

SLOTS: Final = 16384
"""The number of hash slots of every Cluster."""

DEFAULT_PREFIX: Final = "hubbub"

COMMON_BUCKET: Final = 0
"""The bucket of what exists once per system: the channel that every node hears, the command log, the leases."""

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def bucket_of(interest: Interest) -> int:
    """Return the bucket of a topic, or of a user by id."""
    name = interest if isinstance(interest, str) else interest.id if interest.kind == "user" else str(interest)
    return crc32(name.encode(errors="surrogatepass")) % BUCKETS


def slot_of(bucket: int) -> int:
    """Return the hash slot of a bucket on a Cluster: CRC16 (XMODEM) of its hash tag."""
    return crc_hqx(b"b%d" % bucket, 0) % SLOTS


class Channels:
    """The names of one system's channels and keys.

    Args:
        prefix: The start of every name, so that several systems can share a server.

    Raises:
        ConfigurationError: The prefix would break the hash tags.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(f"a prefix in Redis must match {_PREFIX.pattern}, got {prefix!r}")
        self._stems = [f"{prefix}:{{b{bucket}}}:" for bucket in range(BUCKETS)]
        self.all = f"{self.stem(COMMON_BUCKET)}all".encode()
        """The channel that every node hears."""

    def stem(self, bucket: int) -> str:
        """Return the start of the names of a bucket's keys and channels, colon included."""
        return self._stems[bucket]

    def of(self, interest: Interest) -> bytes:
        """Return the channel of a topic, or of events addressed to a user."""
        return self.locate(interest)[1]

    def locate(self, interest: Interest) -> tuple[int, bytes]:
        """Return the bucket and the channel of a topic, or of events addressed to a user."""
        bucket = bucket_of(interest)
        stem = self._stems[bucket]
        return bucket, (f"{stem}u:{interest}" if isinstance(interest, str) else f"{stem}t:{interest}").encode(
            errors="surrogatepass"
        )

    def bucket(self, channel: bytes) -> int:
        """Return the bucket of one of these channels, read from its name."""
        stem = channel[: channel.index(b"}")]
        return int(stem[stem.rindex(b"{b") + 2 :])

    def probe(self, bucket: int, name: str) -> bytes:
        """Return the channel over which a connection checks that the server still delivers."""
        return f"{self._stems[bucket]}probe:{name}".encode()

    def interest(self, channel: bytes) -> Interest | None:
        """Return the interest whose channel this is; None for a channel of another kind.

        Raises:
            ValueError: The name is not one of this system's.
        """
        stem, _, rest = channel.decode().partition("}:")
        mark, _, name = rest.partition(":")
        interest: Interest
        if mark == "u" and name:
            interest = name
        elif mark == "t":
            interest = Topic.parse(name)
        else:
            return None
        if stem + "}:" != self._stems[bucket_of(interest)]:
            raise ValueError(f"{channel!r} is not the channel of {interest}")
        return interest
