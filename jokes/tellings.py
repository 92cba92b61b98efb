"""Which jokes were told lately. Each telling may be answered by one reaction, within ten minutes. In memory only;
`shared_tellings` does the same for several processes.

To count a joke twice, a visitor must hear it twice, and nobody can use up a telling that was for somebody else. A visitor is
a number made from the address with a key that ends with the process (`common.visitor_limits`); there is no cookie.
`jokes.quotas` limits each visitor. All together may send 600 reactions a minute.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from common.errors import AlreadyCounted, TooManyCounted, UnknownJoke

if TYPE_CHECKING:
    from jokes.joke import Joke

PER_MINUTE = 600
TOO_MANY_FOR_S = 60
GOOD_FOR_S = 600.0

_MOST_JOKES = 10_000  # pairs of joke and visitor
_MOST_TELLINGS = 100  # tellings of one joke to one visitor


class Tellings:
    """What was told, in memory. Safe to use from many threads. `clock`: seconds. `per_minute`: reactions of all visitors
    together.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, per_minute: int = PER_MINUTE) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._jokes: OrderedDict[tuple[int, str, str], tuple[Joke, deque[float]]] = OrderedDict()
        self._taken: deque[float] = deque(maxlen=per_minute)

    def note(self, joke: Joke, visitor: int = 0) -> None:
        """Notes that `visitor` hears `joke` now."""
        key = (visitor, *joke.key)
        with self._lock:
            _, times = self._jokes.get(key, (joke, deque(maxlen=_MOST_TELLINGS)))
            times.append(self._clock())
            self._jokes[key] = joke, times
            self._jokes.move_to_end(key)
            if len(self._jokes) > _MOST_JOKES:
                self._jokes.popitem(last=False)

    def take(self, source: str, identity: str, visitor: int = 0) -> Joke:
        """Uses up one telling of the joke to `visitor` and returns it.

        Raises UnknownJoke, AlreadyCounted or TooManyCounted.
        """
        now = self._clock()
        with self._lock:
            if (visitor, source, identity) not in self._jokes:
                raise UnknownJoke("This app has not told you this joke; send the id and source of one that it has.")
            joke, times = self._jokes[visitor, source, identity]
            while times and now - times[0] > GOOD_FOR_S:
                times.popleft()
            if not times:
                raise AlreadyCounted(
                    "A smile at this joke has been counted already, or it was told too long ago; ask for another joke."
                )
            if len(self._taken) == self._taken.maxlen and now - self._taken[0] < TOO_MANY_FOR_S:
                raise TooManyCounted("Too many smiles at once; try again in a minute.")
            times.popleft()
            self._taken.append(now)
            return joke

    def close(self, timeout: float = 0.0) -> None:
        """Does nothing; there is no thread to end."""
