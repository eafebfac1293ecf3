"""What one node asks of all: to close a user's sockets, to take a topic away, to count a person as active."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from hubbub.brokers.base import Broker, Publication
from hubbub.contract.topics import Topic
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome

logger = logging.getLogger("hubbub.commands")

COMMAND: Final = "hubbub.command"
"""The type of a publication that carries a command; no event can have it, since events begin with a direction."""

MENTION: Final = "hubbub.mention"
"""The type of one that may be lost. Brokers keep the other for nodes that are cut off when it is given."""

MAX_UNSENT: Final = 10_000
"""Commands kept for a broker that is away: a minute of logouts of a very large system."""


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


def publication_of(command: Command) -> Publication:
    """Addresses a command to the nodes it concerns: those with a socket of the user.

    A revocation also travels with the topic's own events, so that it keeps its place among them.
    """
    topics = (command.topic,) if isinstance(command, Revoke) else ()
    type = MENTION if isinstance(command, Touch) else COMMAND
    return Publication(type, b"", topics, (command.user_id,), metadata=msgspec.msgpack.encode(command))


def command_of(publication: Publication) -> Command:
    """Reads a command back; raises msgspec.DecodeError where it is none."""
    return _decoder.decode(publication.metadata)


#: What a node does when it is told to; doing it twice is the same as once.
Obey: TypeAlias = Callable[[Any], object]


class Commands:
    """Gives commands to all nodes, keeps those that must not be lost until the broker has taken them, and obeys.

    obey: what this node does, by type of command.
    """

    def __init__(self, broker: Broker, stats: Stats, obey: Mapping[type[Command], Obey]) -> None:
        self._broker = broker
        self._stats = stats
        self._obey = obey
        self._unsent: deque[Publication] = deque()

    async def give(self, command: Command) -> Outcome:
        """Obeys here at once, whatever the broker is up to, and sends the command until it is accepted."""
        self._obey[type(command)](command)
        publication = publication_of(command)
        outcome = await self._broker.publish_and_wait(publication)
        if outcome is not Outcome.ACCEPTED:
            self._keep(publication)
        return outcome

    def mention(self, command: Command) -> None:
        """Sends a command that may be lost."""
        self._broker.publish(publication_of(command))

    def observe(self, publication: Publication) -> bool:
        """Obeys a command that has arrived; says that no socket is to hear it."""
        try:
            command = command_of(publication)
        except msgspec.DecodeError as error:
            self._stats.errors["bad_command"] += 1
            logger.warning("a command that arrived is not understood: %s", error)
        else:
            self._obey[type(command)](command)
        return False

    def retry(self) -> None:
        """Sends again what was not accepted, oldest first; called on a tick."""
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
