"""Show how far a run is: a bar on a terminal, elsewhere a line for each page."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm


class _Bar(tqdm):
    monitor_interval = 0  # no thread of its own: that only serves bars that hardly ever move


class GatheringProgress:
    """Counts pictures of one term at a time. `bar` None: a bar if `stream` (default: standard error) is a terminal."""

    def __init__(self, *, bar: bool | None = None, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._with_bar = self._stream.isatty() if bar is None else bar
        self._bar: tqdm | None = None
        self._term = ""
        self._page = ""
        self._failed = 0
        self._started = 0.0
        self._fetched = 0
        self._total = 0
        self._initial = 0

    def begin(self, term: str, total: int, done: int) -> None:
        """`done` of `total` pictures are there from earlier runs."""
        self.end()
        self._term, self._page, self._failed, self._fetched = term, "", 0, 0
        self._total, self._initial, self._started = total, done, time.monotonic()
        if self._with_bar:
            self._bar = _Bar(desc=term, total=total, initial=done, unit="picture", file=self._stream, dynamic_ncols=True)

    def page(self, number: int, pages: int, total: int) -> None:
        """The pictures of a page come next. `total`: how many are expected now."""
        self._page, self._total = f"page {number} of {pages}", total
        if self._bar is not None:
            self._bar.total = total
            self._show()

    def picture(self, *, failed: bool = False) -> None:
        self._failed += failed
        self._fetched += 1
        if self._bar is not None:
            self._show(refresh=False)
            self._bar.update()

    def waiting(self, seconds: float) -> None:
        """The site is left in peace for so long."""
        if seconds < 2:
            return
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._page}, pausing for {seconds:.0f} s")
        else:
            self._say(f"{self._term}: pausing for {seconds:.0f} s")

    def end_page(self, counts: Mapping[str, int]) -> None:
        if self._bar is None:
            failed = f", {counts['failed']} failed" if counts["failed"] else ""
            self._say(f"{self._term}: {self._page}, {counts['fetched']} pictures{failed}{self._left()}")

    def end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _left(self) -> str:
        left = self._total - self._initial - self._fetched
        if left <= 0 or not self._fetched:
            return ""
        seconds = left * (time.monotonic() - self._started) / self._fetched
        hours, minutes = divmod(round(seconds / 60), 60)
        return ", about " + (f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min") + " left"

    def _show(self, *, refresh: bool = True) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._page}, {self._failed} failed", refresh=refresh)

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
