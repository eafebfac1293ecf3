"""Publishing from processes without a gateway: jobs and scripts."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self

from hubbub.backoff import Backoff
from hubbub.brokers.base import Broker, Publication
from hubbub.bus.notifier import Event
from hubbub.bus.publication import prepare
from hubbub.contract.events import MESSENGER_EVENTS, PRESENCE_EVENTS, SYSTEM_EVENTS
from hubbub.contract.registry import Contract
from hubbub.contract.topics import Interest
from hubbub.engines import make_broker
from hubbub.errors import ConfigurationError
from hubbub.metrics.stats import Stats
from hubbub.outcome import Outcome

logger = logging.getLogger("hubbub.publisher")

BUILT_IN: Final = Contract([*SYSTEM_EVENTS, *MESSENGER_EVENTS, *PRESENCE_EVENTS])
"""The events that come with Hubbub."""

ANSWER_SECONDS: Final = 1.0
"""How long `publish` waits for the first connection, and then for the answer."""

MAX_EARLY: Final = 10_000
"""Events kept for the first connection."""

CLOSE_SECONDS: Final = 3.0
"""What closing may take: what was published a moment ago is still sent."""


class Publisher:
    """Publishes events to the sockets of every node, through the Redis that their gateways share, or their broker.

    From the first event on it has a thread and a broker of its own: over Redis, two connections. It works in any
    thread, with or without an event loop; after a fork the child gets its own. If it knows that an event may be lost,
    the listeners get a resync once the broker is connected again, as with a gateway. Close it, or leave its `with`
    block, so that everything is sent; the end of the process does so too.

    Args:
        redis_url: The gateways' own.
        contract: The gateways' own, `gateway.contract`; by default the events that come with Hubbub.
        prefix: The gateways' `redis_prefix`.
        broker: Makes a broker, in place of `redis_url`; see `hubbub.brokers.base.Broker`. It is called once per
            process, since a connection does not survive a fork. `prefix` does not apply to it.

    Raises:
        ConfigurationError: Not exactly one of `redis_url` and `broker` is given, the URL is not valid, or
            `hubbub[redis]` is not installed.
    """

    def __init__(
        self,
        redis_url: str | None = None,
        *,
        contract: Contract = BUILT_IN,
        prefix: str = "hubbub",
        broker: Callable[[], Broker] | None = None,
    ) -> None:
        if (redis_url is None) == (broker is None):
            raise ConfigurationError("give Publisher either redis_url or broker")
        self.stats = Stats()
        """What this publisher lost over Redis, by code in `errors`. A broker of your own counts for itself."""
        self._redis_url = redis_url
        self._contract = contract
        self._prefix = prefix
        self._broker_factory = broker
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._thread: _PublisherThread | None = None
        if redis_url is not None:
            self._make_broker()  # raises here, at set-up

    def notify(self, event: Event, users: Iterable[str] | None = None) -> None:
        """Publish without waiting. With `init_notifier(publisher.notify)`, a process's `notify` does this.

        Args:
            event: A payload or an envelope.
            users: For an event declared `addressed`, the users whose sockets hear it.

        Raises:
            ContractError: The event may not be published.
        """
        publication = prepare(self._contract, event, users)
        self._running_thread().publish(publication)

    async def publish(self, event: Event, users: Iterable[str] | None = None) -> Outcome:
        """Publish, and return the outcome within about a second; within two if it has to connect first.

        Args:
            event: A payload or an envelope.
            users: For an event declared `addressed`, the users whose sockets hear it.

        Raises:
            ContractError: The event may not be published.
        """
        publication = prepare(self._contract, event, users)
        return await asyncio.wrap_future(self._running_thread().publish_and_wait(publication))

    def close(self) -> None:
        """Send what is left, and disconnect; do nothing if nothing was published."""
        if self._process != os.getpid():
            return
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            atexit.unregister(self.close)
            thread.close()

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

    def _running_thread(self) -> _PublisherThread:
        if self._process != os.getpid():  # after a fork: a child has none of the threads
            self._process, self._lock, self._thread = os.getpid(), threading.Lock(), None
        with self._lock:
            if self._thread is None:
                self._thread = _PublisherThread(self._make_broker())
                atexit.register(self.close)
            return self._thread

    def _make_broker(self) -> Broker:
        if self._broker_factory is not None:
            return self._broker_factory()
        return make_broker(None, self._redis_url, self._prefix, self.stats, replays=False)


class _PublisherThread:
    """A thread with an event loop, in which a broker connects and stays connected."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._early: list[Publication] | None = []  # until the first attempt to connect has ended
        self._has_tried = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hubbub publisher", daemon=True)
        self._thread.start()
        self._connecting = asyncio.run_coroutine_threadsafe(self._connect(), self._loop)

    def publish(self, publication: Publication) -> None:
        """Publish, from any thread."""
        self._loop.call_soon_threadsafe(self._publish, publication)

    def publish_and_wait(self, publication: Publication) -> Future[Outcome]:
        """Publish, from any thread; return the outcome to come."""
        return asyncio.run_coroutine_threadsafe(self._publish_and_wait(publication), self._loop)

    def close(self) -> None:
        """Send what is left, and end the thread."""
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
                await self._broker.start(_ignore_publication, _ignore_loss)
                return
            except ConfigurationError as error:
                logger.warning("not connected: %s", error)
            finally:
                self._publish_early()
            await asyncio.sleep(backoff.next())

    def _publish_early(self) -> None:
        """Publish what came before the first attempt to connect had ended; after a failure, the broker drops it."""
        early, self._early = self._early, None
        for publication in early or ():
            self._broker.publish(publication)
        self._has_tried.set()

    def _publish(self, publication: Publication) -> None:
        if self._early is not None and len(self._early) < MAX_EARLY:
            self._early.append(publication)
        else:
            self._broker.publish(publication)

    async def _publish_and_wait(self, publication: Publication) -> Outcome:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_tried.wait(), ANSWER_SECONDS)
        return await self._broker.publish_and_wait(publication)

    async def _stop(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_tried.wait(), ANSWER_SECONDS)
        self._connecting.cancel()
        await self._broker.stop()


def _ignore_publication(publication: Publication, matched: Interest | None) -> None:
    """Do nothing: a publisher listens to nothing, so nothing is delivered."""


def _ignore_loss(interests: Iterable[Interest] | None) -> None:
    """Do nothing: a publisher has no sockets."""
