"""What one receiving connection listens to: what is wanted, what was asked for, and what Redis has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from hubbub.contract.topics import Interest

LINGER_SECONDS: Final = 1.0
"""How long an interest outlives its last listener: a page that is reloaded then finds it still confirmed."""


class State(Enum):
    """How far an interest has come."""

    WANTED = "wanted"
    ASKED = "asked"
    CONFIRMED = "confirmed"


class Wait:
    """Somebody waits until a number of interests are confirmed; told once, also where that was given up."""

    def __init__(self, names: Iterable[bytes], done: Callable[[], None]) -> None:
        self.left = set(names)
        self._done = done

    def end(self) -> None:
        """Ends the wait, whatever is left."""
        self.left.clear()
        self._done()

    def settle(self, name: bytes) -> None:
        """Takes in that one of them needs no more waiting."""
        if name in self.left:
            self.left.discard(name)
            if not self.left:
                self._done()


class _Entry:
    __slots__ = ("interest", "is_owed", "state", "waits")

    def __init__(self, interest: Interest | None) -> None:
        self.interest = interest
        self.state = State.WANTED
        self.is_owed = False
        self.waits: list[Wait] = []


class Listening:
    """Keeps a connection's channels. Pure: no I/O, the time is passed in.

    An interest is owed when somebody relies on it who was, or may have been, without it for a while: the debt is paid
    with a resync once it is confirmed, not before, since what is fetched earlier may be out of date again.
    """

    def __init__(self, linger: float = LINGER_SECONDS) -> None:
        self.linger = linger
        self._entries: dict[bytes, _Entry] = {}
        self._wanted: dict[bytes, None] = {}
        self._idle: dict[bytes, float] = {}  # by channel: when it is given up; in order of that
        self.is_up = False
        """Whether there is a connection that confirms what it is asked for."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, channel: bytes) -> bool:
        return channel in self._entries

    def interest(self, channel: bytes) -> Interest | None:
        """Gives what is listened to on a channel; None for the channel that every node hears. KeyError for others."""
        return self._entries[channel].interest

    def state(self, channel: bytes) -> State | None:
        """Tells how far a channel has come; None where nobody wants it."""
        entry = self._entries.get(channel)
        return None if entry is None else entry.state

    def want(self, channel: bytes, interest: Interest | None, *, owed: bool = False) -> bool:
        """Declares a channel; tells whether it is confirmed already, or nobody knows when it could be.

        Nobody is kept waiting for a server that is away: what is lost meanwhile is owed.
        owed: whether somebody relied on it before.
        """
        self._idle.pop(channel, None)
        entry = self._entries.get(channel)
        if entry is None:
            entry = self._entries[channel] = _Entry(interest)
            self._wanted[channel] = None
        entry.is_owed |= owed or not self.is_up
        return entry.state is State.CONFIRMED or not self.is_up

    def wait(self, channels: Iterable[bytes], done: Callable[[], None]) -> Wait:
        """Calls back when channels that are declared are all confirmed, at once where they are."""
        missing = [channel for channel in channels if self._entries[channel].state is not State.CONFIRMED]
        wait = Wait(missing, done)
        for channel in wait.left:
            self._entries[channel].waits.append(wait)
        if not missing:
            wait.end()
        return wait

    def give_up(self, wait: Wait) -> None:
        """Ends a wait that has taken too long: what it was for is owed."""
        for channel in wait.left:
            entry = self._entries.get(channel)
            if entry is not None:
                entry.is_owed = True
                entry.waits.remove(wait)
        wait.end()

    def unwant(self, channel: bytes, now: float) -> None:
        """Withdraws a channel, which lingers a while; at once where it was never asked for."""
        entry = self._entries.get(channel)
        if entry is None:
            return
        if entry.state is State.WANTED:
            self._forget(channel)
        else:
            self._idle[channel] = now + self.linger

    def expired(self, now: float) -> list[bytes]:
        """Gives the channels to unsubscribe from; they are forgotten."""
        gone = []
        for channel, due in self._idle.items():
            if due > now:
                break
            # What was asked for and not confirmed stays: its confirmation could be taken for that of a later request.
            if self._entries[channel].state is State.CONFIRMED:
                gone.append(channel)
        for channel in gone:
            self._forget(channel)
        return gone

    @property
    def has_idle(self) -> bool:
        """Tells whether ``expired`` is to be called again."""
        return bool(self._idle)

    def requests(self) -> list[bytes]:
        """Gives the channels to subscribe to; from here on their confirmation is awaited."""
        asked = list(self._wanted)
        self._wanted.clear()
        for channel in asked:
            self._entries[channel].state = State.ASKED
        return asked

    def confirmed(self, channel: bytes) -> bool:
        """Takes in a confirmation; tells whether the channel is owed, which is then forgotten."""
        entry = self._entries.get(channel)
        if entry is None or entry.state is not State.ASKED:
            return False
        entry.state = State.CONFIRMED
        self._release(channel, entry)
        was_owed, entry.is_owed = entry.is_owed, False
        return was_owed

    def ended(self, channel: bytes) -> bool:
        """Takes in that Redis sends no more of a channel; tells whether it did so by itself: the slot has moved.

        Where it has, the channel is asked for again by ``again`` only, once it is known where it is now.
        """
        entry = self._entries.get(channel)
        if entry is None or entry.state is not State.CONFIRMED:
            return False  # the answer to an older request of ours
        entry.state, entry.is_owed = State.WANTED, True
        return True

    def again(self) -> None:
        """Asks again for everything that is wanted."""
        self._wanted.update((name, None) for name, entry in self._entries.items() if entry.state is State.WANTED)

    def down(self) -> None:
        """Takes in that the connection is lost: everything is wanted again, and owed to whoever relied on it."""
        self.is_up = False
        for channel in list(self._idle):
            self._forget(channel)
        for channel, entry in self._entries.items():
            entry.state, entry.is_owed = State.WANTED, True
            self._wanted[channel] = None
            self._release(channel, entry)

    def surrender(self, channels: Iterable[bytes]) -> list[tuple[bytes, Interest | None]]:
        """Gives up channels that another connection takes over, and gives those that are still wanted."""
        surrendered = []
        for channel in channels:
            entry = self._entries[channel]
            if channel not in self._idle:
                surrendered.append((channel, entry.interest))
            self._forget(channel)
        return surrendered

    def channels(self) -> list[bytes]:
        """Gives every channel, in whatever state."""
        return list(self._entries)

    def _release(self, channel: bytes, entry: _Entry) -> None:
        waits, entry.waits = entry.waits, []
        for wait in waits:
            wait.settle(channel)

    def _forget(self, channel: bytes) -> None:
        entry = self._entries.pop(channel)
        self._wanted.pop(channel, None)
        self._idle.pop(channel, None)
        self._release(channel, entry)
