"""Code of an app that mypy accepts."""

from __future__ import annotations

from hubbub import (
    ClientEvent,
    Context,
    ConversationsChanged,
    Domain,
    Envelope,
    MessageNew,
    Router,
    ServerEvent,
    Typing,
    event,
    notify,
)


@event("client.orders.watch")
class Watch(ClientEvent, frozen=True):
    order_id: str


@event("server.orders.shipped", topics={"order": "order_id"})
class Shipped(ServerEvent, frozen=True):
    order_id: str
    carrier: str


class Orders(Domain):
    events = (Watch, Shipped)

    def register_handlers(self, router: Router) -> None:
        router.on(Watch, self.watch)
        router.on(Typing, on_typing)
        router.on(Typing, on_anything)

    async def watch(self, ctx: Context, message: Envelope[Watch]) -> None:
        order_id: str = message.data.order_id
        self.bus.send(ctx, Shipped(order_id, carrier="bike"))
        self.bus.publish(Envelope.of(Shipped(order_id, carrier="bike")))


def on_typing(ctx: Context, message: Envelope[Typing]) -> None:
    is_typing: bool = message.data.is_typing
    print(ctx.user_id, is_typing, message.ts)  # noqa: T201


def on_anything(ctx: Context, message: Envelope[ClientEvent]) -> None:
    print(message.type)  # noqa: T201


def publish() -> None:
    notify(Envelope.of(MessageNew(conversation_id="c", message_id="m", sender_id="s", created_at="t")))
    notify(Shipped(order_id="o", carrier="bike"))
    notify(ConversationsChanged(), users=["alice"])
