"""The channels of one receiving connection: which are subscribed to, requested, and confirmed by Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from hubbub.contract.topics import Interest

LINGER_SECONDS: Final = 1.0
"""How long a channel outlives its last listener, so that a page that reloads finds it still confirmed."""


class SubscriptionState(Enum):
    """How far a subscription has come."""

    NEW = "new"
    REQUESTED = "requested"
    CONFIRMED = "confirmed"


class Confirmation:
    """A wait for the confirmation of several channels. `done` is called once, also if the wait is given up."""

    def __init__(self, channels: Iterable[bytes], done: Callable[[], None]) -> None:
        self.missing = set(channels)
        self._done = done

    def end(self) -> None:
        """End the wait, whatever is missing."""
        self.missing.clear()
        self._done()

    def remove(self, channel: bytes) -> None:
        """Wait no longer for this channel."""
        if channel in self.missing:
            self.missing.discard(channel)
            if not self.missing:
                self._done()


class _Subscription:
    __slots__ = ("interest", "needs_resync", "state", "waits")

    def __init__(self, interest: Interest | None) -> None:
        self.interest = interest
        self.state = SubscriptionState.NEW
        self.needs_resync = False
        self.waits: list[Confirmation] = []


class ChannelSubscriptions:
    """The subscriptions of one connection, through gaps. Pure: no I/O, the time is passed in.

    A channel needs a resync if a listener relies on it that was, or may have been, without it for a while. The resync
    follows the confirmation, never before: data that a client fetches earlier may be out of date again.

    Args:
        linger: Seconds that a channel outlives its last listener.
    """

    def __init__(self, linger: float = LINGER_SECONDS) -> None:
        self.linger = linger
        self._channels: dict[bytes, _Subscription] = {}
        self._to_request: dict[bytes, None] = {}
        self._idle: dict[bytes, float] = {}  # by channel, when to unsubscribe; in order of that time
        self.is_up = False
        """Whether there is a connection that confirms what it is asked for."""

    def __len__(self) -> int:
        return len(self._channels)

    def __contains__(self, channel: bytes) -> bool:
        return channel in self._channels

    def interest(self, channel: bytes) -> Interest | None:
        """Return the interest of a channel; None for a channel without one. Raise KeyError for an unknown channel."""
        return self._channels[channel].interest

    def state(self, channel: bytes) -> SubscriptionState | None:
        """Return how far a channel has come; None for an unknown channel."""
        subscription = self._channels.get(channel)
        return None if subscription is None else subscription.state

    def needs_resync(self, channel: bytes) -> bool:
        """Return whether a resync follows the next confirmation of a channel."""
        return self._channels[channel].needs_resync

    def subscribe(self, channel: bytes, interest: Interest | None, *, needs_resync: bool = False) -> bool:
        """Add a channel; return True if it is confirmed already, or if there is no connection that could confirm it.

        Nobody waits for an unreachable server: a resync follows for what is missed until it is back.

        Args:
            channel: The name.
            interest: What the channel carries.
            needs_resync: Whether a listener relied on the channel before.
        """
        self._idle.pop(channel, None)
        subscription = self._channels.get(channel)
        if subscription is None:
            subscription = self._channels[channel] = _Subscription(interest)
            self._to_request[channel] = None
        subscription.needs_resync |= needs_resync or not self.is_up
        return subscription.state is SubscriptionState.CONFIRMED or not self.is_up

    def wait(self, channels: Iterable[bytes], done: Callable[[], None]) -> Confirmation:
        """Call `done` once all of these channels are confirmed, at once if they are."""
        missing = [channel for channel in channels if self._channels[channel].state is not SubscriptionState.CONFIRMED]
        wait = Confirmation(missing, done)
        for channel in wait.missing:
            self._channels[channel].waits.append(wait)
        if not missing:
            wait.end()
        return wait

    def time_out(self, wait: Confirmation) -> None:
        """End a wait that has taken too long: the channels that are missing need a resync."""
        for channel in wait.missing:
            subscription = self._channels.get(channel)
            if subscription is not None:
                subscription.needs_resync = True
                subscription.waits.remove(wait)
        wait.end()

    def unsubscribe(self, channel: bytes, now: float) -> None:
        """Drop a channel after the linger time; at once if it was never requested."""
        subscription = self._channels.get(channel)
        if subscription is None:
            return
        if subscription.state is SubscriptionState.NEW:
            self._forget(channel)
        else:
            self._idle[channel] = now + self.linger

    def expired(self, now: float) -> list[bytes]:
        """Return the channels to unsubscribe from in Redis, and forget them."""
        gone = []
        for channel, due in self._idle.items():
            if due > now:
                break
            # A channel that is requested and not confirmed stays: its confirmation could be taken for a later one's.
            if self._channels[channel].state is SubscriptionState.CONFIRMED:
                gone.append(channel)
        for channel in gone:
            self._forget(channel)
        return gone

    @property
    def has_idle(self) -> bool:
        """Return whether `expired` has to be called again."""
        return bool(self._idle)

    def requests(self) -> list[bytes]:
        """Return the channels to subscribe to in Redis. From now on their confirmation is awaited."""
        requested = list(self._to_request)
        self._to_request.clear()
        for channel in requested:
            self._channels[channel].state = SubscriptionState.REQUESTED
        return requested

    def confirmed(self, channel: bytes) -> bool:
        """Record a confirmation; return whether the channel needs a resync now."""
        subscription = self._channels.get(channel)
        if subscription is None or subscription.state is not SubscriptionState.REQUESTED:
            return False
        subscription.state = SubscriptionState.CONFIRMED
        self._end_waits(channel, subscription)
        needed_resync, subscription.needs_resync = subscription.needs_resync, False
        return needed_resync

    def ended(self, channel: bytes) -> bool:
        """Record that Redis sends no more of a channel; return True if that was its own doing: the slot has moved.

        Then only `resubscribe` requests the channel again, once it is known where it is now.
        """
        subscription = self._channels.get(channel)
        if subscription is None or subscription.state is not SubscriptionState.CONFIRMED:
            return False  # the answer to an older request of ours
        subscription.state, subscription.needs_resync = SubscriptionState.NEW, True
        return True

    def resubscribe(self) -> None:
        """Request every channel again that is neither requested nor confirmed."""
        for channel, subscription in self._channels.items():
            if subscription.state is SubscriptionState.NEW:
                self._to_request[channel] = None

    def down(self) -> None:
        """Record that the connection has failed: every channel is to be requested again, and needs a resync then."""
        self.is_up = False
        for channel in list(self._idle):
            self._forget(channel)
        for channel, subscription in self._channels.items():
            subscription.state, subscription.needs_resync = SubscriptionState.NEW, True
            self._to_request[channel] = None
            self._end_waits(channel, subscription)

    def transfer(self, channels: Iterable[bytes]) -> list[tuple[bytes, Interest | None]]:
        """Forget channels that another connection takes over; return those that still have listeners."""
        transferred = []
        for channel in channels:
            subscription = self._channels[channel]
            if channel not in self._idle:
                transferred.append((channel, subscription.interest))
            self._forget(channel)
        return transferred

    def channels(self) -> list[bytes]:
        """Return every channel, in whatever state."""
        return list(self._channels)

    def _end_waits(self, channel: bytes, subscription: _Subscription) -> None:
        waits, subscription.waits = subscription.waits, []
        for wait in waits:
            wait.remove(channel)

    def _forget(self, channel: bytes) -> None:
        subscription = self._channels.pop(channel)
        self._to_request.pop(channel, None)
        self._idle.pop(channel, None)
        self._end_waits(channel, subscription)
