"""Real sockets for tests: the `websockets` client, without any code of Hubbub on the client side."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self

from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hubbub import Context, Gateway, Handshake, Identity, MessengerDomain, Topic
from hubbub.connections.services import Services
from hubbub.testing import Address, ManualClock, serve

Json = dict[str, Any]


class Client:
    """One open WebSocket that sends and receives envelopes."""

    _ids = itertools.count()

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: Address, user: str | None, *topics: str, path: str = "/ws") -> AsyncIterator[Self]:
        """Open a socket as `user`, wait for ready, and subscribe to `topics`."""
        headers = {} if user is None else {"Authorization": user}
        async with connect(address.ws + path, additional_headers=headers, ping_interval=None) as socket:
            client = cls(socket)
            if user is not None:
                await client.expect("server.system.ready")
            if topics:
                await client.subscribe(*topics)
            yield client

    async def send(self, type: str, data: Json, **envelope: Any) -> None:
        await self.socket.send(json.dumps({"type": type, "data": data, "ts": 1, **envelope}))

    async def receive(self) -> Json:
        event: Json = json.loads(await self.socket.recv())
        return event

    async def expect(self, type: str) -> Json:
        """Return the data of the next event, which must be of `type`."""
        event = await self.receive()
        assert event["type"] == type, event
        data: Json = event["data"]
        return data

    async def request_topics(self, *topics: str) -> None:
        """Send a subscribe, without waiting for the answer."""
        pairs = [topic.partition(":")[::2] for topic in topics]
        await self.send("client.system.subscribe", {"topics": [{"kind": kind, "id": id} for kind, id in pairs]})

    async def subscribe(self, *topics: str) -> Json:
        """Subscribe, and return the data of `subscribed`."""
        await self.request_topics(*topics)
        return await self.expect("server.system.subscribed")

    async def typing(self, conversation_id: str, *, is_typing: bool = True, user_id: str = "somebody") -> None:
        await self.send(
            "client.messenger.typing",
            {"conversationId": conversation_id, "userId": user_id, "isTyping": is_typing},
        )

    async def heard(self) -> list[Json]:
        """Return every event sent to this socket so far, without a timed wait.

        Events of one socket keep their order, so the answer to a marker comes after everything published before.
        """
        marker = f"marker-{next(self._ids)}"
        await self.send("client.test.marker", {}, id=marker)
        events = []
        while (event := await self.receive()).get("id") != marker:
            events.append(event)
        return events

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes this socket, skipping events; return the code and the reason."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.recv()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


def types(events: Iterable[Json]) -> list[str]:
    return [event["type"] for event in events]


def authenticate(handshake: Handshake) -> Identity | None:
    """Accept the name in Authorization as the user (JWT is tested elsewhere). `name/session` names a session."""
    user, _, session = (handshake.header("authorization") or "").partition("/")
    return Identity(user, session=session or None) if user else None


async def authorize(ctx: Context, topics: Sequence[Topic]) -> Iterable[Topic]:
    """Allow all topics except those whose id begins with `secret`."""
    return [topic for topic in topics if not topic.id.startswith("secret")]


def make_gateway(**options: Any) -> Gateway:
    """Return a gateway with the messenger's domain; its clock stands still unless one is given."""
    settings: Json = {
        "authenticate": authenticate,
        "authorize": authorize,
        "domains": [MessengerDomain()],
        "clock": ManualClock(),
        **options,
    }
    return Gateway(**settings)


@contextlib.asynccontextmanager
async def running(gateway: Gateway, app: FastAPI | None = None, **options: Any) -> AsyncIterator[Address]:
    """Serve a gateway on a free port."""
    app = app or FastAPI()
    gateway.attach(app)
    async with serve(app, **options) as address:
        yield address


def services_of(gateway: Gateway) -> Services:
    """Return the services of a gateway, which must run in this event loop."""
    assert gateway.admission is not None, "the gateway does not run"
    return gateway.admission.services


def clock_of(gateway: Gateway) -> ManualClock:
    """Return the clock of a running gateway that `make_gateway` has made."""
    clock = services_of(gateway).clock
    assert isinstance(clock, ManualClock)
    return clock
