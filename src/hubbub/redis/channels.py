"""Where in Redis an interest lives: the names of channels, and the buckets that keep what belongs together together.

Everything about a user has that user's bucket: their presence, the topic that watchers of it subscribe to, and what is
addressed to them. So one script can change a presence and publish it, on a Cluster as on a single server, where all
keys and channels of a script must be in one hash slot. A bucket is a hash tag: `hubbub:{b17}:…`.
"""

from __future__ import annotations

import re
from binascii import crc32, crc_hqx
from typing import Final

from hubbub.contract.topics import Interest, Topic
from hubbub.errors import ConfigurationError

BUCKETS: Final = 256
"""Enough to spread over any Cluster evenly, and few enough for one script call per bucket to be cheap."""

SLOTS: Final = 16384
"""The hash slots of every Cluster."""

DEFAULT_PREFIX: Final = "hubbub"

_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def bucket_of(interest: Interest) -> int:
    """Gives the bucket of a topic, or of a user, by id."""
    name = interest if isinstance(interest, str) else interest.id if interest.kind == "user" else str(interest)
    return crc32(name.encode(errors="surrogatepass")) % BUCKETS


def slot_of(bucket: int) -> int:
    """Gives the hash slot of a bucket's keys and channels on a Cluster: CRC16 (XMODEM) of its hash tag."""
    return crc_hqx(b"b%d" % bucket, 0) % SLOTS


class Channels:
    """Names what one system keeps and publishes in Redis.

    prefix: what every name begins with, so that systems can share a server; raises ConfigurationError where it would
    disturb the hash tags.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(f"a prefix in Redis must match {_PREFIX.pattern}, got {prefix!r}")
        self._stems = [f"{prefix}:{{b{bucket}}}:" for bucket in range(BUCKETS)]
        #: What every node hears.
        self.all = f"{self.stem(ALL_BUCKET)}all".encode()

    def stem(self, bucket: int) -> str:
        """Gives what the names of a bucket's keys and channels begin with, colon included."""
        return self._stems[bucket]

    def of(self, interest: Interest) -> bytes:
        """Gives the channel of a topic, or of what is addressed to a user."""
        return self.locate(interest)[1]

    def locate(self, interest: Interest) -> tuple[int, bytes]:
        """Gives the bucket and the channel of a topic, or of what is addressed to a user."""
        bucket = bucket_of(interest)
        stem = self._stems[bucket]
        return bucket, (f"{stem}u:{interest}" if isinstance(interest, str) else f"{stem}t:{interest}").encode(
            errors="surrogatepass"
        )

    def bucket(self, channel: bytes) -> int:
        """Reads the bucket back from the name of one of these channels."""
        stem = channel[: channel.index(b"}")]
        return int(stem[stem.rindex(b"{b") + 2 :])

    def probe(self, bucket: int, name: str) -> bytes:
        """Gives the channel over which a receiving connection hears itself."""
        return f"{self._stems[bucket]}probe:{name}".encode()

    def interest(self, channel: bytes) -> Interest | None:
        """Reads an interest back from its channel; None for any other channel, ValueError for none of ours."""
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


ALL_BUCKET: Final = 0
"""The bucket of the channel that every node hears."""
