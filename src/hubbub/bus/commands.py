"""Commands from one node to all: close a user's sockets, take a topic away, count a user as active."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from hubbub.brokers.base import COMMAND, Broker, Publication
from hubbub.contract.topics import Topic
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome

logger = logging.getLogger("hubbub.commands")

BEST_EFFORT: Final = "hubbub.mention"
"""The type of a publication with a command that may be lost. Brokers replay those of type `COMMAND` after a gap."""

MAX_UNSENT: Final = 10_000
"""Commands kept for an unreachable broker: a minute of logouts of a very large system."""


class Disconnect(msgspec.Struct, frozen=True, tag=True):
    """Close a user's sockets: all of them, or those of one session."""

    user_id: str
    session: str | None = None


class Revoke(msgspec.Struct, frozen=True, tag=True):
    """Take a topic away from a user's sockets."""

    user_id: str
    topic: Topic


class Touch(msgspec.Struct, frozen=True, tag=True):
    """Count a user as active."""

    user_id: str


Command: TypeAlias = Disconnect | Revoke | Touch

_decoder: Final[msgspec.msgpack.Decoder[Command]] = msgspec.msgpack.Decoder(Command)


def encode_command(command: Command) -> Publication:
    """Return a publication that carries a command to the nodes with a socket of the user.

    A revocation also travels with the topic's own events, so that it keeps its place among them.
    """
    topics = (command.topic,) if isinstance(command, Revoke) else ()
    type = BEST_EFFORT if isinstance(command, Touch) else COMMAND
    return Publication(type, b"", topics, (command.user_id,), metadata=msgspec.msgpack.encode(command))


def decode_command(publication: Publication) -> Command:
    """Return the command in a publication.

    Raises:
        msgspec.DecodeError: There is none.
    """
    return _decoder.decode(publication.metadata)


Apply: TypeAlias = Callable[[Any], object]
"""What a node does for a command. Applying the same command twice is a no-op."""


class Commands:
    """Sends commands to all nodes, keeps those that must not be lost until the broker accepts them, and applies them.

    Args:
        broker: Carries them.
        stats: Counts those that are lost, or not understood.
        apply: What this node does, by type of command.
    """

    def __init__(self, broker: Broker, stats: Stats, apply: Mapping[type[Command], Apply]) -> None:
        self._broker = broker
        self._stats = stats
        self._apply = apply
        self._unsent: deque[Publication] = deque()

    async def broadcast(self, command: Command) -> Outcome:
        """Apply a command here at once, whatever the state of the broker, and send it until it is accepted."""
        self._apply[type(command)](command)
        publication = encode_command(command)
        outcome = await self._broker.publish_and_wait(publication)
        if outcome is not Outcome.ACCEPTED:
            self._keep(publication)
        return outcome

    def send_best_effort(self, command: Command) -> None:
        """Send a command that may be lost."""
        self._broker.publish(encode_command(command))

    def receive(self, publication: Publication) -> bool:
        """Apply a command that has arrived; return False: no socket hears it."""
        try:
            command = decode_command(publication)
        except msgspec.DecodeError as error:
            self._stats.errors["bad_command"] += 1
            logger.warning("a command that arrived is not understood: %s", error)
        else:
            self._apply[type(command)](command)
        return False

    def retry(self) -> None:
        """Send again what was not accepted, oldest first. Called regularly."""
        for _ in range(len(self._unsent)):
            publication = self._unsent.popleft()
            if self._broker.publish(publication) is not Outcome.ACCEPTED:
                self._unsent.appendleft(publication)
                return

    def _keep(self, publication: Publication) -> None:
        if len(self._unsent) >= MAX_UNSENT:
            self._unsent.popleft()
            self._stats.errors["command_lost"] += 1
            logger.critical("a withdrawal of access was lost: the broker has been away for too long")
        self._unsent.append(publication)
