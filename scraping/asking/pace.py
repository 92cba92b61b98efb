"""Decide when the next request may go out: one host at a time, a random pause between any two, and a rest if a site asks for
it.

with pace.turn("www.gettyimages.com"):
    ...                                    # one request, read to its end
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_JITTER = 0.5  # a pause is 1 to 1.5 times as long as asked for, so that requests keep no rhythm


class Interrupted(Exception):
    """The run is being stopped. Nobody reads this message."""


class Clock:
    """Real time. `sleep` ends early after `stop`."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """For good."""
        self._stopping.set()

    def stopping(self) -> bool:
        return self._stopping.is_set()


class Pace:
    """Hands out turns to many threads: at most `workers` at once, and at least `pause_s` between the beginnings of two.

    `on_wait(seconds)` is called for waits that the site asked for.
    """

    def __init__(
        self,
        pause_s: float,
        workers: int,
        *,
        clock: Clock | None = None,
        seed: int | None = None,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.clock = clock or Clock()
        self._pause_s = pause_s
        self._workers = workers
        self._on_wait = on_wait
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._host = ""
        self._in_flight = 0
        self._next_at = 0.0
        self._held_until = 0.0
        self._delays_s: dict[str, float] = {}

    def set_delay(self, host: str, seconds: float) -> None:
        """Notes that `host` wants at least so many seconds between two requests."""
        with self._changed:
            self._delays_s[host] = seconds
            self._next_at = max(self._next_at, self.clock.now() + seconds)

    def hold(self, seconds: float) -> None:
        """Lets no request begin for so long."""
        with self._changed:
            self._held_until = max(self._held_until, self.clock.now() + seconds)
        self._on_wait(seconds)

    def jittered(self, seconds: float) -> float:
        with self._changed:
            return seconds * (1 + _JITTER * self._random.random())

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Waits until a request to `host` may begin. Raises Interrupted if the run is stopped meanwhile."""
        with self._changed:
            while self._in_flight and (self._host != host or self._in_flight >= self._workers):
                self._changed.wait(0.2)
                self._check()
            self._host = host
            self._in_flight += 1
        try:
            while (wait_s := self._start(host)) > 0:
                self._check()
                self.clock.sleep(wait_s)
            self._check()
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _start(self, host: str) -> float:
        """0 if a request may begin now, which is then counted; else the seconds after which to ask again."""
        with self._changed:
            now = self.clock.now()
            earliest = max(self._next_at, self._held_until)
            if now < earliest:
                return earliest - now
            pause_s = max(self._pause_s, self._delays_s.get(host, 0.0))
            self._next_at = now + pause_s * (1 + _JITTER * self._random.random())
            return 0.0

    def _check(self) -> None:
        if self.clock.stopping():
            raise Interrupted
