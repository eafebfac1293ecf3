"""What every broker promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeAlias

import msgspec

from hubbub.contract.topics import Interest, Topic
from hubbub.outcome import Outcome

COMMAND: Final = "hubbub.command"
"""The type of a publication that carries a command for the nodes. No event has it: events begin with a direction."""

REPLAYABLE: Final = frozenset({COMMAND})
"""The types of publications that no node may miss. See `Broker`."""


class Publication(msgspec.Struct, frozen=True, gc=False):
    """One published event: the final bytes of its frame, and its whole audience. No node decodes it again."""

    type: str
    frame: bytes
    topics: tuple[Topic, ...]
    users: tuple[str, ...]
    exclude: str | None = None
    """The id of a socket that does not hear it."""
    metadata: bytes = b""
    """Data for the nodes themselves, which no socket hears."""


Deliver: TypeAlias = Callable[[Publication, Interest | None], None]
"""Called with each publication that arrives. The second argument is the interest that matched, if a publication arrives
once for each interest of its audience; None if a single copy is for all.
"""

OnLoss: TypeAlias = Callable[[Iterable[Interest] | None], None]
"""Called with the interests whose publications may have been lost on the way to this node; None means all of them."""


class Broker(Protocol):
    """Carries publications to every node with a listener, this one included.

    Delivery: at most once, in the order of publishing per topic and per user, and unchanged: the bytes of the frame,
    the metadata and the excluded socket arrive as they were published. A node receives what it is subscribed to; it
    may receive more, which reaches no socket.

    Loss: never silent. When a broker knows that a publication may be lost, it calls `on_loss` on every node that has
    listeners for it.

    Replay: a resync makes up for a lost event. Nothing makes up for a lost withdrawal of access, so publications whose
    type is in `REPLAYABLE` must also reach the nodes that were cut off when they were published: a broker keeps them
    for about an hour, and delivers after a gap, with None as the matched interest, those that the node has not seen.
    Delivering one twice does no harm. If it cannot keep one, its outcome is DROPPED: the node publishes it again.

    Life: all methods are called on the event loop of `start`. A broker may be started again after `stop`, and after a
    `start` that raised. While it is not running, `publish` and `publish_and_wait` return DROPPED, and raise nothing.
    """

    async def start(self, deliver: Deliver, on_loss: OnLoss) -> None:
        """Connect. From now on both callbacks are called on the event loop; they do not block.

        A broker logs and counts an error that `deliver` raises, and goes on with the next publication.

        Raises:
            ConfigurationError: It cannot connect; the message names the remedy.
        """

    async def stop(self) -> None:
        """Send what is left, for about a second at most, and disconnect; nothing is delivered afterwards."""

    @property
    def ready(self) -> bool:
        """Return whether what is published now reaches every node."""

    def publish(self, publication: Publication) -> Outcome:
        """Send without waiting. ACCEPTED does not mean delivered: the promise is at most once."""

    async def publish_and_wait(self, publication: Publication) -> Outcome:
        """Send, and wait at most a second for the outcome."""

    def subscribe(self, interests: Iterable[Interest]) -> Awaitable[None] | None:
        """Subscribe this node to interests, even if the caller gives up waiting.

        Subscriptions are a set: subscribing twice is the same as once, and one `unsubscribe` ends both. The wait is
        short, and there is none for an unreachable server: when it is back, the broker calls `on_loss` for what was
        missed.

        Returns:
            What to wait for until no later publication for them is missed on this node; None if that is so already.
        """

    def unsubscribe(self, interests: Iterable[Interest]) -> None:
        """Unsubscribe from interests without waiting: their last listener on this node is gone."""
