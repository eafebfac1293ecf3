"""Code that mypy refuses. Each mistake is marked with its error; an unused mark is an error too."""

from __future__ import annotations

import hubbub
from hubbub import Context, Domain, Envelope, MessageNew, MessageRead, Payload, Router, Typing, event, notify


def handles_typing(ctx: Context, message: Envelope[Typing]) -> None:
    message.data.is_tipping  # type: ignore[attr-defined]  # noqa: B018
    text: str = message.data.is_typing  # type: ignore[assignment]
    message.data.is_typing = False  # type: ignore[misc]
    ctx.user_id = text  # type: ignore[misc]


def handles_message_read(ctx: Context, message: Envelope[MessageRead]) -> None:
    """Handles an event that no client sends."""


def handles_a_payload(ctx: Context, message: Typing) -> None:
    """Takes the payload without its envelope."""


@event("client.shop.look")
class Look(hubbub.ClientEvent, frozen=True):
    item_id: str


class Wrong(Domain):
    events = (Look, dict)  # type: ignore[assignment]

    def register_handlers(self, router: Router) -> None:
        # A handler of another event.
        router.on(Look, handles_typing)  # type: ignore[arg-type]
        # An event in the wrong direction.
        router.on(MessageRead, handles_message_read)  # type: ignore[type-var]
        # A handler without the envelope.
        router.on(Typing, handles_a_payload)  # type: ignore[arg-type]
        # The name of an event instead of the event.
        router.on("client.messenger.typing", handles_typing)  # type: ignore[arg-type]
        # An event that does not exist.
        router.on(hubbub.Tping, handles_typing)  # type: ignore[attr-defined]


def publishes(domain: Domain) -> None:
    # A field is missing, misspelt, or of another type.
    notify(MessageRead(conversation_id="c", message_id="m", reader_id="r"))  # type: ignore[call-arg]
    notify(MessageRead(conversation_id="c", message_id="m", reader_id="r", red_at="t"))  # type: ignore[call-arg]
    notify(MessageNew(conversation_id=1, message_id="m", sender_id="s", created_at="t"))  # type: ignore[arg-type]
    # An event that only clients send, bare and in its envelope.
    notify(Look(item_id="i"))  # type: ignore[arg-type]
    notify(Envelope.of(Look(item_id="i")))  # type: ignore[arg-type]
    domain.bus.publish(Look(item_id="i"))  # type: ignore[arg-type]
    # A dictionary instead of an event.
    notify({"type": "server.messenger.message_new", "data": {}})  # type: ignore[arg-type]
    # Only a payload can be put into an envelope.
    Envelope.of({"conversationId": "c"})  # type: ignore[type-var]
    event("server.shop.sold")(dict)  # type: ignore[type-var]
    event("server.shop.sold", audience="everybody")(Payload)  # type: ignore[call-arg]
