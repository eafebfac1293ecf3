"""Publishing from where no gateway runs: jobs, scripts, other processes."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hubbub.brokers.base import Publication
from hubbub.bus.notifier import Event
from hubbub.bus.publication import prepare
from hubbub.contract.events import MESSENGER_EVENTS, PRESENCE_EVENTS, SYSTEM_EVENTS
from hubbub.contract.registry import Contract
from hubbub.contract.topics import Interest
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome
from hubbub.redis.backoff import Backoff
from hubbub.redis.channels import DEFAULT_PREFIX

if TYPE_CHECKING:
    from hubbub.brokers.redis.broker import RedisBroker

logger = logging.getLogger("hubbub.publisher")

BUILT_IN: Final = Contract([*SYSTEM_EVENTS, *MESSENGER_EVENTS, *PRESENCE_EVENTS])
"""The events that Hubbub brings along."""

ANSWER_SECONDS: Final = 1.0
"""What ``publish`` waits for the first connection, and then for the answer."""

MAX_EARLY: Final = 10_000
"""Events kept for the first connection."""

CLOSE_SECONDS: Final = 3.0
"""What closing may take: what was published a moment ago is still sent."""


class Publisher:
    """Publishes events to the sockets of every node, over the Redis that their gateways share.

    It has a thread and two connections of its own from the first event on, and works in any thread, with or without an
    event loop; after a fork the child gets its own. What is known to be lost is made good like a gateway's: by a resync
    of its listeners, once Redis is back. Close it, or leave its ``with`` block, so that everything is sent; the end of
    the process does so too.

    redis_url: that of the gateways. contract: theirs, ``gateway.contract``; without it, Hubbub's own events.
    prefix: theirs, where they have one.

    Raises ConfigurationError where the URL is none, or ``hubbub[redis]`` is not installed.
    """

    def __init__(self, redis_url: str, *, contract: Contract = BUILT_IN, prefix: str = DEFAULT_PREFIX) -> None:
        #: What was published here, and what of it was lost.
        self.stats = Stats()
        self._url = redis_url
        self._contract = contract
        self._prefix = prefix
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._line: _Line | None = None
        self._make_broker()

    def notify(self, event: Event, users: Iterable[str] | None = None) -> None:
        """Publishes without waiting; with ``init_notifier(publisher.notify)``, a process's ``notify`` does so.

        Raises ContractError where the event may not be published.
        """
        publication = prepare(self._contract, event, users)
        self._connected().post(publication)

    async def publish(self, event: Event, users: Iterable[str] | None = None) -> Outcome:
        """Publishes, and says within about a second what became of it: two, where it has to connect first.

        Raises ContractError where the event may not be published.
        """
        publication = prepare(self._contract, event, users)
        return await asyncio.wrap_future(self._connected().send(publication))

    def close(self) -> None:
        """Sends what is left, and disconnects; does nothing where nothing was published."""
        if self._process != os.getpid():
            return
        with self._lock:
            line, self._line = self._line, None
        if line is not None:
            atexit.unregister(self.close)
            line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _connected(self) -> _Line:
        if self._process != os.getpid():  # after a fork: a child has none of the threads
            self._process, self._lock, self._line = os.getpid(), threading.Lock(), None
        with self._lock:
            if self._line is None:
                self._line = _Line(self._make_broker())
                atexit.register(self.close)
            return self._line

    def _make_broker(self) -> RedisBroker:
        from hubbub.brokers.redis.broker import RedisBroker  # an optional dependency

        return RedisBroker(self._url, stats=self.stats, prefix=self._prefix)


class _Line:
    """A thread with an event loop, in which a broker connects and stays connected."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker
        self._early: list[Publication] | None = []  # until the first attempt to connect has ended
        self._has_tried = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hubbub publisher", daemon=True)
        self._thread.start()
        self._connecting = asyncio.run_coroutine_threadsafe(self._connect(), self._loop)

    def post(self, publication: Publication) -> None:
        """Publishes from any thread."""
        self._loop.call_soon_threadsafe(self._emit, publication)

    def send(self, publication: Publication) -> Future[Outcome]:
        """Publishes from any thread, and gives what became of it."""
        return asyncio.run_coroutine_threadsafe(self._send(publication), self._loop)

    def close(self) -> None:
        """Sends what is left, and ends the thread."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(CLOSE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _connect(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._broker.start(_hear_nothing, _lose_nothing)
                return
            except ConfigurationError as error:
                logger.warning("not connected: %s", error)
            finally:
                self._end_of_first_attempt()
            await asyncio.sleep(backoff.next())

    def _end_of_first_attempt(self) -> None:
        early, self._early = self._early, None
        for publication in early or ():
            self._broker.publish(publication)
        self._has_tried.set()

    def _emit(self, publication: Publication) -> None:
        if self._early is not None and len(self._early) < MAX_EARLY:
            self._early.append(publication)
        else:
            self._broker.publish(publication)

    async def _send(self, publication: Publication) -> Outcome:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_tried.wait(), ANSWER_SECONDS)
        return await self._broker.publish_and_wait(publication)

    async def _stop(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_tried.wait(), ANSWER_SECONDS)
        self._connecting.cancel()
        await self._broker.stop()


def _hear_nothing(publication: Publication, matched: Interest | None) -> None:
    """Is never called: a publisher listens to nothing."""


def _lose_nothing(interests: Iterable[Interest] | None) -> None:
    """Has no sockets to tell."""
