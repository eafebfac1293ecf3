"""No socket receives an event it may not see: many random steps, compared with a model."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack

from websockets.asyncio.client import connect

from hubbub import Context, ConversationsChanged, Limits, MessageNew, Topic, notify
from hubbub.testing import Address
from tests.support import Client, make_gateway, running

STEPS = 10_000
USERS = [f"user{number}" for number in range(12)]
CONVERSATIONS = [f"c{number}" for number in range(8)]
NO_LIMITS = Limits(events_per_minute=10**9, sockets_per_user=10**6, handshakes_per_second=1e9, handshake_burst=10**9)


class Socket:
    """One client, and the events it must have received by now, in order."""

    def __init__(self, client: Client, user: str, id: str, stack: AsyncExitStack) -> None:
        self.client = client
        self.user = user
        self.id = id
        self.stack = stack
        self.expected: list[str] = []


class World:
    """Members, sockets and subscriptions as they should be."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.members: dict[str, set[str]] = {
            conversation: set(self.random.sample(USERS, 6)) for conversation in CONVERSATIONS
        }
        self.sockets: list[Socket] = []
        self.subscribed: defaultdict[str, set[str]] = defaultdict(set)  # by socket id
        # By socket id: user and allowed topics, where the answer of the app is not in effect yet.
        self.pending_answers: dict[str, tuple[str, set[str]]] = {}
        self.deliveries = 0
        self.sent = 0
        self.gateway = make_gateway(authorize=self.authorize, limits=NO_LIMITS)

    async def authorize(self, ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
        """Check membership, then wait: others leave and send before the answer takes effect."""
        allowed = {topic.id for topic in topics if ctx.user_id in self.members[topic.id]}
        self.pending_answers[ctx.socket_id] = (ctx.user_id, allowed)
        answer = [topic for topic in topics if topic.id in allowed]
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)
        self.subscribed[ctx.socket_id] = self.pending_answers.pop(ctx.socket_id)[1]
        return answer

    async def open(self, server: Address) -> None:
        stack = AsyncExitStack()
        user = self.random.choice(USERS)
        client = Client(
            await stack.enter_async_context(
                connect(f"{server.ws}/ws", additional_headers={"Authorization": user}, ping_interval=None)
            )
        )
        ready = await client.expect("server.system.ready")
        self.sockets.append(Socket(client, user, ready["socketId"], stack))

    async def close(self) -> None:
        socket = self.sockets.pop(self.random.randrange(len(self.sockets)))
        await self.check(socket)
        await socket.stack.aclose()

    async def subscribe(self) -> None:
        topics = self.random.sample(CONVERSATIONS, self.random.randint(1, len(CONVERSATIONS)))
        await self.random.choice(self.sockets).client.request_topics(*(f"conversation:{id}" for id in topics))

    async def join(self) -> None:
        self.members[self.random.choice(CONVERSATIONS)].add(self.random.choice(USERS))

    async def leave(self) -> None:
        conversation = self.random.choice(CONVERSATIONS)
        if self.members[conversation]:
            user = self.random.choice(sorted(self.members[conversation]))
            self.members[conversation].remove(user)
            await self.gateway.revoke(user, Topic("conversation", conversation))
            for asking, allowed in self.pending_answers.values():
                if asking == user:
                    allowed.discard(conversation)
            for socket in self.sockets:
                if socket.user == user:
                    self.subscribed[socket.id].discard(conversation)

    async def send_message(self) -> None:
        conversation = self.random.choice(CONVERSATIONS)
        if self.members[conversation]:
            sender = self.random.choice(sorted(self.members[conversation]))
            self.sent += 1
            notify(MessageNew(conversation, f"m{self.sent}", sender, ""))
            for socket in self.sockets:
                if conversation in self.subscribed[socket.id] or socket.user == sender:
                    assert socket.user in self.members[conversation]  # the model itself keeps the rule
                    socket.expected.append(f"m{self.sent}")

    async def notify_users(self) -> None:
        users = self.random.sample(USERS, 3)
        notify(ConversationsChanged(), users=users)
        for socket in self.sockets:
            if socket.user in users:
                socket.expected.append("changed")

    async def check(self, socket: Socket) -> None:
        received = []
        for event in await socket.client.heard():
            if event["type"] == "server.messenger.message_new":
                received.append(event["data"]["messageId"])
            elif event["type"] == "server.messenger.conversations_changed":
                received.append("changed")
        assert received == socket.expected
        self.deliveries += len(received)
        socket.expected.clear()


async def test_ten_thousand_random_steps_deliver_only_to_allowed_recipients(tell: Callable[[str], None]) -> None:
    world = World(seed=20_261)
    async with running(world.gateway) as server, AsyncExitStack() as ending:
        for _ in range(20):
            await world.open(server)
        steps = (
            [world.subscribe] * 4
            + [world.send_message] * 8
            + [world.join] * 2
            + [world.leave] * 2
            + [world.notify_users]
        )
        for number in range(STEPS):
            await world.random.choice(steps)()
            if number % 4 == 0:
                await asyncio.sleep(0)
            if number % 50 == 49:
                for socket in world.sockets:
                    await world.check(socket)
            if number % 100 == 99:
                await world.close()
                await world.open(server)
        for socket in world.sockets:
            await world.check(socket)
            ending.push_async_callback(socket.stack.aclose)
    tell(f"{STEPS} steps, {world.sent} messages, {world.deliveries} deliveries, none of them wrong or missing")
    assert world.deliveries > STEPS
