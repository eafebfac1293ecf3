"""A test client that knows the contract: it sends and expects payloads."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hubbub.contract.envelope import Envelope, encode
from hubbub.contract.events import Ready, Subscribe, Subscribed
from hubbub.contract.registry import ClientEvent, Payload, spec_of
from hubbub.contract.topics import Topic
from hubbub.testing.clock import ManualClock

P = TypeVar("P", bound=Payload)
Json = dict[str, Any]

DEFAULT_PATIENCE: Final = 5.0
"""Seconds that a client waits for what it expects. Only a test that fails waits that long."""

MAX_STEP: Final = 20.0
"""Seconds by which `pass_time` moves a clock at once: less than the heartbeat's interval."""


class Client:
    """One open WebSocket of a test. What it expects and does not receive in time is an AssertionError.

    `Address.connect` returns one. Events are kept until they are expected, so events of different kinds may arrive in
    any order.

    Attributes:
        socket: The connection of the package `websockets`, for everything that this class does not offer.
        user_id: The user, as the server says in `ready`. None if it refused this socket.
        socket_id: The socket's id, as the server says in `ready`. None if it refused this socket.
    """

    _markers = itertools.count()

    def __init__(self, socket: ClientConnection, patience: float = DEFAULT_PATIENCE) -> None:
        self.socket = socket
        self.user_id: str | None = None
        self.socket_id: str | None = None
        self._patience = patience
        self._received: list[Json] = []

    async def send(self, event: ClientEvent, *, id: str | None = None) -> None:
        """Send an event.

        Args:
            event: The payload.
            id: The correlation id. An error that this event causes carries it.
        """
        await self.socket.send(encode(Envelope.of(event, id=id)).decode())

    async def subscribe(self, *topics: Topic | str) -> Subscribed:
        """Replace the subscriptions, and return the server's answer.

        Args:
            topics: Topics, or strings such as `conversation:c1`.
        """
        parsed = [topic if isinstance(topic, Topic) else Topic(*topic.partition(":")[::2]) for topic in topics]
        await self.send(Subscribe(tuple(parsed)))
        return await self.expect(Subscribed)

    async def expect(self, kind: type[P], /, **fields: object) -> P:
        """Wait for an event, and return its payload.

        Args:
            kind: The payload's class.
            fields: What its fields must be, in snake_case. Events of the kind with other values are kept.

        Raises:
            AssertionError: If no such event arrives in time.
        """
        unknown = fields.keys() - set(kind.__struct_fields__)
        if unknown:
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        name = spec_of(kind).name
        checked = 0
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    for event in self._received[checked:]:
                        checked += 1
                        if event["type"] == name:
                            payload = msgspec.convert(event["data"], kind)
                            if all(getattr(payload, field) == value for field, value in fields.items()):
                                self._received.remove(event)
                                return payload
                    self._received.append(await self._receive())
        except TimeoutError:
            self._fail(f"no {_describe(name, fields)} within {self._patience:g} s")
        except ConnectionClosed:
            self._fail(f"no {_describe(name, fields)} before the socket was closed with {self._close_status}")

    async def expect_silence(self, *kinds: type[Payload]) -> None:
        """Fail if this socket was sent an event that no `expect` has returned.

        This does not wait for a timeout: the client sends an unknown event, and the error that answers it arrives after
        everything that was published on the node before.

        Args:
            kinds: Only fail for events of these kinds. Without any, fail for every event.

        Raises:
            AssertionError: If there is such an event.
        """
        names = {spec_of(kind).name for kind in kinds}
        await self.catch_up()
        unexpected = [event for event in self._received if not names or event["type"] in names]
        if unexpected:
            self._fail("expected silence", unexpected)

    async def expect_closed(self, code: int | None = None) -> str:
        """Wait until the server closes the socket, and return the reason.

        Args:
            code: The close code to expect. None accepts any.

        Raises:
            AssertionError: If the socket stays open, or is closed with another code.
        """
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    self._received.append(await self._receive())
        except TimeoutError:
            self._fail(f"the socket is still open after {self._patience:g} s")
        except ConnectionClosed:
            if code is not None and self.socket.close_code != code:
                self._fail(f"expected the socket to be closed with {code}, not with {self._close_status}")
            return self.socket.close_reason or ""

    async def catch_up(self) -> None:
        """Receive everything that was sent until now. The server answers an unknown event after all earlier ones."""
        marker = f"marker-{next(self._markers)}"
        try:
            async with asyncio.timeout(self._patience):
                await self.socket.send(json.dumps({"type": "client.hubbub.marker", "data": {}, "ts": 0, "id": marker}))
                while (event := await self._receive()).get("id") != marker:
                    self._received.append(event)
        except TimeoutError:
            self._fail(f"the server has not answered within {self._patience:g} s")
        except ConnectionClosed:
            self._fail(f"the socket was closed with {self._close_status}")

    async def greet(self) -> None:
        """Wait until the server has accepted this socket, or closed it. `Address.connect` does this."""
        try:
            async with asyncio.timeout(self._patience):
                self._received.append(await self._receive())
        except TimeoutError:
            self._fail(f"the server has not answered within {self._patience:g} s")
        except ConnectionClosed:
            return
        ready = await self.expect(Ready)
        self.user_id, self.socket_id = ready.user_id, ready.socket_id

    async def _receive(self) -> Json:
        event: Json = json.loads(await self.socket.recv())
        return event

    @property
    def _close_status(self) -> str:
        return f"{self.socket.close_code} {self.socket.close_reason or ''}".rstrip()

    def _fail(self, what: str, events: Iterable[Json] | None = None) -> NoReturn:
        received = self._received if events is None else events
        listed = "".join(f"\n  {json.dumps(event)}" for event in received) or " nothing"
        raise AssertionError(f"{what}; received:{listed}")


async def pass_time(clock: ManualClock, seconds: float, *clients: Client) -> None:
    """Move a clock in steps, and let the clients answer the server's pings in between.

    To advance the clock far in one step looks like a network failure: the server closes the sockets with 4408.

    Args:
        clock: The gateway's clock.
        seconds: By how much to move it.
        clients: The open sockets that must survive.
    """
    while seconds > 0:
        clock.advance(min(seconds, MAX_STEP))
        seconds -= MAX_STEP
        for client in clients:
            await client.catch_up()


def _describe(name: str, fields: dict[str, object]) -> str:
    with_fields = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    return f"{name} with {with_fields}" if fields else name
