"""The messenger's events: messages come from REST, typing from clients."""

from __future__ import annotations

from typing import Final

import msgspec

from hubbub.connections.router import Router
from hubbub.context import Context
from hubbub.contract.envelope import Envelope
from hubbub.contract.events import MESSENGER_EVENTS, Typing
from hubbub.contract.topics import Topic
from hubbub.domains.base import Domain

TYPING_PER_MINUTE: Final = 90
"""Typing signals of one socket. A page that sends one at most every 3 s, and each time typing stops, sends 40."""


class MessengerDomain(Domain):
    """Relays typing between the sockets of one conversation."""

    events = MESSENGER_EVENTS
    """`MessageNew`, `MessageRead`, `ConversationsChanged` and `Typing`."""

    def register_handlers(self, router: Router) -> None:
        """Register the handler of `client.messenger.typing`."""
        router.on(Typing, self.typing, per_minute=TYPING_PER_MINUTE)

    def typing(self, ctx: Context, message: Envelope[Typing]) -> None:
        """Relay to the conversation's other subscribers; ignore a sender who is not subscribed to it.

        The subscription was authorised, so it also proves that the sender may speak there. `userId` is always the
        sender's own: a client cannot speak for another user.
        """
        if Topic("conversation", message.data.conversation_id) not in ctx.subscriptions:
            return
        self.bus.publish(msgspec.structs.replace(message.data, user_id=ctx.user_id), exclude=ctx)
