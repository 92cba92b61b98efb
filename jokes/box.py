"""Jokes that are ready at once: a thread fetches them ahead, and those that made people smile are told again."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from common.errors import JokeUnavailable
from common.event_log import log_event
from common.settings import JOKE_URL
from jokes.joke import Joke
from jokes.ranking import Ranking
from jokes.sources import TIMEOUT_S, fetch_joke, house_jokes
from jokes.tellings import Tellings

if TYPE_CHECKING:
    from jokes.joke import Tally


_AHEAD = 5
_REMEMBERED = 60  # jokes that are not repeated for now
_PAUSES_S = (5.0, 30.0, 120.0, 600.0)
_POLITE_PAUSE_S = 0.5
_BOARD_EVERY_S = 30.0
log = logging.getLogger("smile")


class Board(Protocol):
    """The part of a `jokes.board.JokeBoard` that a box uses."""

    def exists(self) -> bool: ...
    def tallies(self) -> list[Tally]: ...


class Told(Protocol):
    """Where a box notes what it told: `jokes.tellings.Tellings`, or tellings that several processes share."""

    def note(self, joke: Joke, visitor: int = 0) -> None: ...
    def take(self, source: str, identity: str, visitor: int = 0) -> Joke: ...
    def close(self, timeout: float) -> None: ...


class JokeBox:
    """Jokes at once. If there is something to fetch, a thread starts with the first joke and ends in `close()`.

    `url`: the joke service; empty for none. `board`: the reactions by which jokes are chosen, read every half minute while
    jokes are told. `tellings`: where the box notes what it told (default: in memory). `own`: somebody's own jokes, told in
    turn with the service's, and alone without one (default: `house_jokes()`, for when no joke is fetched). `remembered`: how
    many of the latest jokes are not repeated.
    """

    def __init__(
        self,
        url: str = JOKE_URL,
        *,
        board: Board | None = None,
        tellings: Told | None = None,
        own: Sequence[Joke] | None = None,
        remembered: int = _REMEMBERED,
        pauses_s: tuple[float, ...] = _PAUSES_S,
        board_every_s: float = _BOARD_EVERY_S,
        seed: int | None = None,
    ) -> None:
        self.tellings: Told = tellings or Tellings()
        self._url = url
        self._board = board
        self._own = own
        self._pauses_s = pauses_s
        self._board_every_s = board_every_s
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._ready: deque[Joke] = deque()
        self._told: deque[tuple[str, str]] = deque(maxlen=remembered)
        self._ranking = Ranking()
        self._read_at = -math.inf
        self._read_wanted = False
        self._fetch_at = -math.inf
        self._failures = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def get_joke(self, *, visitor: int = 0, noted: bool = True) -> Joke:
        """A joke that was not told lately. Never waits.

        `visitor`: a number for the listener. `noted` False: no reaction may answer this telling.
        """
        with self._changed:
            if self._board is not None and time.monotonic() - self._read_at >= self._board_every_s:
                self._read_wanted = self._board.exists()
            if self._thread is None and (self._url or self._read_wanted) and not self._closed:
                self._thread = threading.Thread(target=self._work, name="jokes", daemon=True)
                self._thread.start()
            joke = self._choose()
            self._ready = deque(other for other in self._ready if other.key != joke.key)
            if joke.key in self._told:
                self._told.remove(joke.key)
            self._told.append(joke.key)
            self._changed.notify_all()
        if noted:
            self.tellings.note(joke, visitor)
        return joke

    def rank(self, ranking: Ranking) -> None:
        """From now on `ranking` chooses the jokes."""
        with self._changed:
            self._ranking = ranking

    def close(self, timeout: float = TIMEOUT_S + 0.5) -> None:
        """Ends the thread and waits up to `timeout` seconds for it. A fetch under way ends within its own limit."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _choose(self) -> Joke:
        told = set(self._told)
        own = self._own if self._own is not None else house_jokes()
        current = {joke.key: joke for joke in own}
        known = [current.get(one.joke.key, one.joke) for one in self._ranking.standings]
        gone = {joke.key for joke in known if joke.source in ("house", "file") or self._alone}
        gone -= current.keys()  # dropped in a later version of this app, or of somebody's file
        tried = [joke for joke in known if joke.key not in told and joke.key not in gone]
        untried = next((joke for joke in self._ready if joke.key not in told), None)
        if untried is None or (self._own is not None and self._random.random() < 0.5):
            fresh = [joke for joke in own if joke.key not in told and joke not in self._ranking]
            untried = self._random.choice(fresh) if fresh else untried
        return self._ranking.choose(tried, untried, self._random) or self._longest_ago(own)

    @property
    def _alone(self) -> bool:
        """Whether nothing is to be told but somebody's own jokes."""
        return self._own is not None and not self._url

    def _longest_ago(self, own: Sequence[Joke]) -> Joke:
        """One that was not told lately; where all were, the one that was told the longest ago."""
        told = list(self._told)
        untold = [joke for joke in own if joke.key not in told]
        if untold:
            return self._random.choice(untold)
        return min(own, key=lambda joke: len(told) - told[::-1].index(joke.key))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._closed or self._read_wanted or self._fetch_due()):
                    self._changed.wait(
                        max(0.01, min(60.0, self._fetch_at - time.monotonic())) if self._wants_more() else 60.0
                    )
                if self._closed:
                    return
                read, self._read_wanted = self._read_wanted, False
                self._read_at = time.monotonic() if read else self._read_at
            if read:
                self._read_board()
            elif self._fetch_due():
                self._fetch_at = time.monotonic() + self._fetch()

    def _wants_more(self) -> bool:
        return bool(self._url) and len(self._ready) < _AHEAD

    def _fetch_due(self) -> bool:
        return self._wants_more() and time.monotonic() >= self._fetch_at

    def _read_board(self) -> None:
        try:
            if self._board is not None:
                self.rank(Ranking(self._board.tallies()))
        except Exception as error:  # a BoardError, or an error that must not stop the fetching for good
            log_event("board", level=logging.WARNING, status="failed", message=str(error))

    def _fetch(self) -> float:
        """Fetches one joke. Returns for how many seconds to leave the service in peace."""
        try:
            joke = fetch_joke(self._url)
            with self._changed:
                if joke.key in self._told or any(joke.key == other.key for other in self._ready):
                    raise JokeUnavailable("it repeats itself")
                self._ready.append(joke)
            self._failures = 0
            return _POLITE_PAUSE_S
        except Exception as error:  # JokeUnavailable, or an error that must not stop the fetching for good
            if not self._failures:
                log.info("No jokes from %s (%s); telling our own.", self._url, error)
            pause = self._pauses_s[min(self._failures, len(self._pauses_s) - 1)]
            self._failures += 1
            return max(pause, getattr(error, "retry_after_s", 0.0))
