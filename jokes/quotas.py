"""How much one visitor can change the joke board: no more than a lively person would, however often they ask.

    quotas = Quotas()
    quotas.may_be_told(visitor)                # whether a reaction may answer a joke told now
    quotas.count(visitor, joke.key)            # one reaction to it; raises TooManyCounted or AlreadyCounted

A visitor is a number (`common.visitor_limits.network_number`) that stays in memory only while it matters. Each process
counts by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from common.errors import AlreadyCounted, TooManyCounted
from common.visitor_limits import RateLimit
from jokes.tellings import TOO_MANY_FOR_S

TOLD_PER_MINUTE = 60
COUNTED_PER_MINUTE = 20
OF_A_JOKE_PER_DAY = 3  # also for a class behind one address, or for one person who wants a joke to win

_DAY_S = 86_400.0


class Quotas:
    """Counts for all visitors. Safe to use from many threads. `clock`: seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._told = RateLimit(TOLD_PER_MINUTE / 60, TOLD_PER_MINUTE, clock=clock)
        self._counted = RateLimit(COUNTED_PER_MINUTE / TOO_MANY_FOR_S, COUNTED_PER_MINUTE, clock=clock)
        self._of_a_joke = RateLimit(OF_A_JOKE_PER_DAY / _DAY_S, OF_A_JOKE_PER_DAY, clock=clock)

    def may_be_told(self, visitor: int) -> bool:
        """Whether the next joke for this visitor counts. If not, the visitor still hears it, but a reaction to it is
        refused.
        """
        return self._told.take(visitor) == 0

    def count(self, visitor: int, joke: tuple[str, str]) -> None:
        """Counts one reaction to the joke with that key. Raises TooManyCounted, or AlreadyCounted after enough of them in a
        day.
        """
        if self._counted.take(visitor) > 0:
            raise TooManyCounted("Too many smiles at once from your address; try again in a minute.")
        if self._of_a_joke.take((visitor, joke)) > 0:
            raise AlreadyCounted("Your address has sent enough smiles at this joke today; ask for another joke.")

    def give_back(self, visitor: int, joke: tuple[str, str]) -> None:
        """Takes back what `count` counted, because the reaction could not be stored."""
        self._counted.charge(visitor, -1)
        self._of_a_joke.charge((visitor, joke), -1)
