"""What was published and lost on the way: whose listeners, on all nodes, are owed a resync."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hubbub.contract.topics import Interest

MOST: Final = 10_000
"""Interests remembered one by one. Beyond that everybody is told, which is then the smaller message."""


class Debts:
    """A bounded set of interests, beyond the bound: everything."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._owed: dict[Interest, None] | None = {}

    def __bool__(self) -> bool:
        return self._owed != {}

    def add(self, interests: Iterable[Interest]) -> None:
        """Remembers the interests of something that was lost."""
        if self._owed is None:
            return
        self._owed.update(dict.fromkeys(interests))
        if len(self._owed) > self._most:
            self._owed = None

    def add_all(self) -> None:
        """Remembers that anything may have been lost."""
        self._owed = None

    def take(self) -> list[Interest] | None:
        """Gives what is owed, None for everything, and forgets it: whoever cannot pay it adds it again."""
        owed, self._owed = self._owed, {}
        return None if owed is None else list(owed)
