"""Search visitors' pictures for faces within the request, when it is the stream's turn."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from faces.detection import Candidate, FaceDetector, candidates
from faces.search import effective_height

_SMALLEST = 40.0  # pixels
_SMALLEST_SHARE = 1 / 8  # share of a visitor's picture: they sit in front of their camera


class Turns(Protocol):
    """Decides who may search a whole picture now, while other streams wait for the processor."""

    def may_search(self, *, urgent: bool) -> bool: ...

    def search(self) -> AbstractContextManager[None]: ...


class TurnSearch:
    """One stream's `faces.search.Search`, for one picture. `searched_at`: by the stream's clock."""

    at_once = True
    pause = 0.25
    busy = False

    def __init__(self, detector: FaceDetector, turns: Turns, *, searched_at: float) -> None:
        self._detector = detector
        self._turns = turns
        self._found: list[Candidate] = []
        self.searched_at = searched_at
        self.searches = self.failures = 0

    def ask(self, image: np.ndarray, now: float, *, pause: float, smallest: float = 0.0, urgent: bool = True) -> bool:
        """Searches `image` unless others come first. A search that was put off is due again with the next picture."""
        if now - self.searched_at < pause or not self._turns.may_search(urgent=urgent):
            return False
        self.searched_at = now
        least = max(smallest, _SMALLEST, _SMALLEST_SHARE * effective_height(*image.shape[:2]))
        with self._turns.search():
            self._found = candidates(self._detector, image, min_face=least)
        self.searches += 1
        return True

    def take(self) -> list[Candidate]:
        found, self._found = self._found, []
        return found

    def forget(self) -> None:
        self._found = []
        self.searched_at = float("-inf")

    def close(self, timeout: float = 2.0) -> None:
        """Does nothing; there is nothing to end."""
