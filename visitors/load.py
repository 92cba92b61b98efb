"""How busy this process is with visitors' streams: which picture is refused, and which search for faces can wait.

A visitor sends the next picture when the last one is answered. So the queue has at most one picture for each visitor, but
everybody would wait for all of them. Instead, a picture that would wait longer than `MOST_WAIT_S` is refused at once, and
its visitor sends fewer and smaller ones from then on.

Searching a whole picture takes as long as following faces in ten pictures, and dlib lets no other thread of the process work
meanwhile. So while pictures crowd, searches take only a share of the process's time. A stream in which no face is known, or
one was just lost, gets more of it than a search for people who have joined.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from common.errors import TooBusy

MOST_WAIT_S = 0.25
URGENT_SHARE, OTHER_SHARE = 0.5, 0.15  # share of the time while pictures crowd

_CROWDED_FOR_S = 0.5
_WEIGHT = 0.1  # weight of the newest picture in the mean


class StreamLoad:
    """The load of `places` pictures at once. Safe to use from many threads. `clock`: seconds."""

    def __init__(self, places: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._lock = threading.Lock()
        self._present = 0
        self._mean_s = 0.0  # how long one picture keeps its place
        self._crowded_at = float("-inf")
        self._searched_at = float("-inf")
        self._search_s = 0.0

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Wraps one picture and its wait for a place. Raises TooBusy at once if that wait would be too long."""
        with self._lock:
            ahead = self._present - self._places + 1
            if ahead > 0 and ahead * self._mean_s / self._places > MOST_WAIT_S:
                raise TooBusy("Too many pictures at once; try again in a second.")
            self._present += 1
            if self._present > 1:
                self._crowded_at = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._present -= 1

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wraps the analysis of a picture that has its place."""
        started = self._clock()
        try:
            yield
        finally:
            with self._lock:
                seconds = self._clock() - started
                self._mean_s = seconds if not self._mean_s else (1 - _WEIGHT) * self._mean_s + _WEIGHT * seconds

    @contextmanager
    def search(self) -> Iterator[None]:
        """Wraps a search."""
        started = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._searched_at = self._clock()
                self._search_s = self._searched_at - started

    def may_search(self, *, urgent: bool) -> bool:
        """Whether to do a search that is due now, and not with a later picture. `urgent`: no face is known."""
        with self._lock:
            now = self._clock()
            if now - self._crowded_at > _CROWDED_FOR_S:
                return True
            share = URGENT_SHARE if urgent else OTHER_SHARE
            return now - self._searched_at >= self._search_s * (1 / share - 1)
