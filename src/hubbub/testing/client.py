"""A client that speaks the contract: it sends payloads, and expects payloads."""

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

PATIENCE: Final = 5.0
"""Seconds after which something that is expected has not come. Only a test that fails waits so long."""

STEP: Final = 20.0
"""Seconds by which time passes at once: less than a heartbeat's interval, so that pongs arrive in between."""


class Client:
    """One open WebSocket. Whatever it does not hear in time, or hears and should not, is an AssertionError.

    What arrives is kept until it is expected: events of different kinds need not come in the order of the test.

    socket: the ``websockets`` connection, for whatever is not offered here.
    user_id, socket_id: what the server said in ``ready``; None where it refused to let this socket in.
    """

    _markers = itertools.count()

    def __init__(self, socket: ClientConnection, patience: float = PATIENCE) -> None:
        self.socket = socket
        self.user_id: str | None = None
        self.socket_id: str | None = None
        self._patience = patience
        self._heard: list[Json] = []

    async def send(self, event: ClientEvent, *, id: str | None = None) -> None:
        """Sends an event. id: the correlation id that an error would carry."""
        await self.socket.send(encode(Envelope.of(event, id=id)).decode())

    async def subscribe(self, *topics: Topic | str) -> Subscribed:
        """Replaces the subscriptions, by topics or their string form ``kind:id``; gives the server's answer."""
        named = [topic if isinstance(topic, Topic) else Topic(*topic.partition(":")[::2]) for topic in topics]
        await self.send(Subscribe(tuple(named)))
        return await self.expect(Subscribed)

    async def expect(self, kind: type[P], /, **fields: object) -> P:
        """Gives the first event of a kind that has these fields (in snake_case), and waits for it where need be."""
        unknown = fields.keys() - set(kind.__struct_fields__)
        if unknown:
            raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
        name = spec_of(kind).name
        looked_at = 0
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    for event in self._heard[looked_at:]:
                        looked_at += 1
                        if event["type"] == name:
                            payload = msgspec.convert(event["data"], kind)
                            if all(getattr(payload, field) == value for field, value in fields.items()):
                                self._heard.remove(event)
                                return payload
                    self._heard.append(await self._receive())
        except TimeoutError:
            self._fail(f"no {_described(name, fields)} within {self._patience:g} s")
        except ConnectionClosed:
            self._fail(f"no {_described(name, fields)} before the socket was closed with {self._closed}")

    async def expect_silence(self, *kinds: type[Payload]) -> None:
        """Makes sure that nothing was sent to this socket that no ``expect`` has taken; or none of these kinds.

        No time passes: a marker goes to the server and comes back, behind all that was published on this node before.
        """
        names = {spec_of(kind).name for kind in kinds}
        await self.catch_up()
        wrong = [event for event in self._heard if not names or event["type"] in names]
        if wrong:
            self._fail("expected silence", wrong)

    async def expect_closed(self, code: int | None = None) -> str:
        """Waits until the server closes the socket, with ``code`` where one is given; gives the reason."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    self._heard.append(await self._receive())
        except TimeoutError:
            self._fail(f"the socket is still open after {self._patience:g} s")
        except ConnectionClosed:
            if code is not None and self.socket.close_code != code:
                self._fail(f"expected the socket to be closed with {code}, not with {self._closed}")
            return self.socket.close_reason or ""

    async def catch_up(self) -> None:
        """Hears everything that was sent up to now: an unknown event is answered, in order with all others."""
        marker = f"marker-{next(self._markers)}"
        try:
            async with asyncio.timeout(self._patience):
                await self.socket.send(json.dumps({"type": "client.hubbub.marker", "data": {}, "ts": 0, "id": marker}))
                while (event := await self._receive()).get("id") != marker:
                    self._heard.append(event)
        except TimeoutError:
            self._fail(f"the server has not answered within {self._patience:g} s")
        except ConnectionClosed:
            self._fail(f"the socket was closed with {self._closed}")

    async def greet(self) -> None:
        """Waits until the server has let this socket in, or has closed it."""
        try:
            async with asyncio.timeout(self._patience):
                self._heard.append(await self._receive())
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
    def _closed(self) -> str:
        return f"{self.socket.close_code} {self.socket.close_reason or ''}".rstrip()

    def _fail(self, what: str, heard: Iterable[Json] | None = None) -> NoReturn:
        events = self._heard if heard is None else heard
        listed = "".join(f"\n  {json.dumps(event)}" for event in events) or " nothing"
        raise AssertionError(f"{what}; heard:{listed}")


async def pass_time(clock: ManualClock, seconds: float, *clients: Client) -> None:
    """Moves the clock in steps, between which the clients answer the server's pings.

    Who moves it far at once is a network that fails: sockets are then closed with 4408.
    """
    while seconds > 0:
        clock.advance(min(seconds, STEP))
        seconds -= STEP
        for client in clients:
            await client.catch_up()


def _described(name: str, fields: dict[str, object]) -> str:
    with_fields = ", ".join(f"{field}={value!r}" for field, value in fields.items())
    return f"{name} with {with_fields}" if fields else name
