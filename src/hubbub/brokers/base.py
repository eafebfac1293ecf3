"""What every broker promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol, TypeAlias

import msgspec

from hubbub.contract.topics import Interest, Topic
from hubbub.outcome import Outcome


class Publication(msgspec.Struct, frozen=True, gc=False):
    """One published event: the final bytes of its frame, and its whole audience. No node decodes it again."""

    type: str
    frame: bytes
    topics: tuple[Topic, ...]
    users: tuple[str, ...]
    exclude: str | None = None
    """The id of a socket that does not hear it."""
    metadata: bytes = b""
    """What it tells the nodes themselves, and no socket."""


#: Takes what arrives, and the interest that brought it where each interest of the audience brings a copy; None where
#: one copy is for all.
Deliver: TypeAlias = Callable[[Publication, Interest | None], None]

#: Is told the interests for which something may have been lost on the way to this node; None stands for all.
Lost: TypeAlias = Callable[[Iterable[Interest] | None], None]


class Broker(Protocol):
    """Carries publications to every node with a listener, this one included.

    The promise is at most once, in the order of publishing per topic. What is known to be lost is followed by a
    resync of its topics; a broker never loses silently.
    """

    async def start(self, deliver: Deliver, lost: Lost) -> None:
        """Connects. From here on both are called on the event loop for what arrives or does not; they must not block.

        Raises ConfigurationError, with the remedy, where it cannot connect.
        """

    async def stop(self) -> None:
        """Disconnects; nothing is delivered afterwards."""

    @property
    def ready(self) -> bool:
        """Tells whether what is published now reaches every node."""

    def publish(self, publication: Publication) -> Outcome:
        """Sends without waiting. ACCEPTED does not mean delivered: at most once."""

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Sends, and waits at most a second to say what became of it."""

    def listen(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Declares interests, at once and also where the wait for it is given up.

        Gives what to wait for until no later publication for them is missed on this node; None where that is so now.
        Nobody waits for a server that is away, or for long: what is missed then is told to ``lost`` when it is back.
        """

    def unlisten(self, interests: Iterable[Interest]) -> None:
        """Withdraws interests without waiting, when the last listener on this node is gone."""
