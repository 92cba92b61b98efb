"""Which jokes were told lately: each telling may be answered by one reaction, within ten minutes. In memory only;
`shared_tellings` has the same for several processes.

Whoever wants to count a joke twice must be told it twice, and all visitors together are counted 60 times a minute at most.
No visitor is told from another for that: not by address, not by cookie.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from errors import SmileError

if TYPE_CHECKING:
    from generate_joke import Joke

PER_MINUTE = 60
TOO_MANY_FOR_S = 60
GOOD_FOR_S = 600.0

_MOST_JOKES = 2000
_MOST_TELLINGS = 100  # of one joke


class UnknownJoke(SmileError):
    """This app has not told this joke, or so long ago that it has forgotten."""


class AlreadyCounted(SmileError):
    """As many reactions to this joke as it was told came already, or this one comes too late."""


class TooManyCounted(SmileError):
    """Too many reactions, of all visitors together, came within a minute."""


class Tellings:
    """Safe to use from many threads. `clock`: seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._jokes: OrderedDict[tuple[str, str], tuple[Joke, deque[float]]] = OrderedDict()
        self._taken: deque[float] = deque(maxlen=PER_MINUTE)

    def note(self, joke: Joke) -> None:
        """`joke` is told now."""
        with self._lock:
            _, times = self._jokes.get(joke.key, (joke, deque(maxlen=_MOST_TELLINGS)))
            times.append(self._clock())
            self._jokes[joke.key] = joke, times
            self._jokes.move_to_end(joke.key)
            if len(self._jokes) > _MOST_JOKES:
                self._jokes.popitem(last=False)

    def take(self, source: str, identity: str) -> Joke:
        """Uses up one telling of the joke and returns it. Raises UnknownJoke, AlreadyCounted or TooManyCounted."""
        now = self._clock()
        with self._lock:
            if (source, identity) not in self._jokes:
                raise UnknownJoke("This app has not told this joke; send the id and source of one that it has.")
            joke, times = self._jokes[source, identity]
            while times and now - times[0] > GOOD_FOR_S:
                times.popleft()
            if not times:
                raise AlreadyCounted(
                    "A smile at this joke was counted already, or it was told long ago; ask for another joke."
                )
            if len(self._taken) == PER_MINUTE and now - self._taken[0] < TOO_MANY_FOR_S:
                raise TooManyCounted("Too many smiles at once; try again in a minute.")
            times.popleft()
            self._taken.append(now)
            return joke

    def close(self, timeout: float = 0.0) -> None:
        """Nothing is left to do."""
