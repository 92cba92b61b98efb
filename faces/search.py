"""Search whole pictures for faces in a thread of its own, so that no frame waits for the detector."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

import numpy as np

from common.errors import DetectorError, SmileError
from faces.detection import Candidate, FaceDetector, candidates

log = logging.getLogger("smile")
_SHARE = 0.2  # share of one core that searches may take while no face is in view
_SMALLEST = 40.0  # pixels of the smallest face that is searched for ...
_SMALLEST_PART = 12  # ... and its part of the height of a picture
_PAUSE_S = (0.03, 0.25)  # from the beginning of one search to that of the next: at least and at most


def effective_height(height: int, width: int) -> int:
    """The height in pixels by which faces in a picture count as large or small. A tall strip counts as if cut into
    pieces.
    """
    return min(height, 2 * width)


def smallest_face(height: int, width: int) -> float:
    """The height in pixels of the smallest face to look for in a picture of that size."""
    return max(_SMALLEST, effective_height(height, width) / _SMALLEST_PART)


class Search(Protocol):
    """How a tracker has whole pictures searched."""

    at_once: bool  # what `ask` has searched can be taken as soon as it returns
    searches: int  # that worked
    failures: int

    @property
    def pause(self) -> float:
        """Seconds between two searches that leave the computer for other things."""

    @property
    def busy(self) -> bool:
        """Whether a search is under way."""

    def ask(self, image: np.ndarray, now: float, *, pause: float, smallest: float = 0.0, urgent: bool = True) -> bool:
        """Like `FaceSearch.ask`. `urgent`: no face is known, or one was just lost."""

    def take(self) -> list[Candidate]:
        """The boxes found since the last call. Raises the SmileError that the search met, if it met one."""

    def forget(self) -> None:
        """The next picture shows another scene."""

    def close(self, timeout: float = 2.0) -> None:
        """Ends what was started."""


class FaceSearch:
    """Searches one picture at a time. Call `ask` and `take` from one thread; the searching thread ends with `close()`."""

    def __init__(self, detector: FaceDetector, *, at_once: bool = False) -> None:
        """`at_once`: `ask` itself searches, so that the result depends on pictures alone and not on the computer's speed."""
        self._detector = detector
        self.at_once = at_once
        self._changed = threading.Condition()
        self._image: np.ndarray | None = None
        self._smallest = 0.0
        self._busy = False
        self._scene = self._asked_scene = 0
        self._asked_at = float("-inf")
        self._found: list[Candidate] | None = None
        self._problem: SmileError | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._took_s = float("inf")  # the last search
        self.searches = 0  # that worked
        self.failures = 0

    def ask(self, image: np.ndarray, now: float, *, pause: float, smallest: float = 0.0, urgent: bool = True) -> bool:
        """Search `image`, uint8 BGR `(h, w, 3)`, for faces at least `smallest` pixels high (0: `smallest_face`).

        False, without a search, while another picture is being searched and for `pause` seconds after the last search. The
        picture must not be changed from then on.
        """
        with self._changed:
            if self._closed or self._busy or now - self._asked_at < pause:
                return False
            self._image, self._busy, self._asked_at = image, True, now
            self._smallest, self._asked_scene = max(smallest, smallest_face(*image.shape[:2])), self._scene
            self._changed.notify_all()
        if self.at_once:
            self._search_once()
        elif self._thread is None:
            thread = threading.Thread(target=self._run, name="face-search", daemon=True)
            thread.start()
            self._thread = thread  # only a thread that has begun: `close` can wait for it
        return True

    def take(self) -> list[Candidate]:
        """The boxes found since the last call. Raises the SmileError that the search met, if it met one."""
        with self._changed:
            found, self._found = self._found, None
            problem, self._problem = self._problem, None
        if problem is not None:
            raise problem
        return found or []

    @property
    def pause(self) -> float:
        """Seconds from one search to the next that leave the computer time for other things, from what the last one took.

        The longest pause if `ask` itself searches: then nothing may depend on the computer's speed.
        """
        shortest, longest = _PAUSE_S
        if self.at_once:
            return longest
        return min(max(self._took_s / _SHARE, shortest), longest)

    @property
    def busy(self) -> bool:
        """Whether a search is under way."""
        return self._busy

    def forget(self) -> None:
        """The next picture shows another scene. Drops what a search under way finds, and lets the next one begin at once."""
        with self._changed:
            self._scene += 1
            self._found = None
            self._asked_at = float("-inf")

    def close(self, timeout: float = 2.0) -> None:
        """Ends the thread, waiting up to `timeout` seconds for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._image is not None, 60)
                if self._closed:
                    return
            self._search_once()

    def _search_once(self) -> None:
        with self._changed:
            if self._image is None:
                return
            image, self._image, scene, smallest = self._image, None, self._asked_scene, self._smallest
        found: list[Candidate] | None = None
        problem: SmileError | None = None
        started = time.thread_time()
        try:
            found = candidates(self._detector, image, min_face=smallest)
        except SmileError as error:
            problem = error
        except Exception as error:
            log.exception("the search for faces failed")
            problem = DetectorError(f"The face detector failed ({type(error).__name__}); the app's log says more.")
        finally:
            del image
            with self._changed:
                self._took_s = time.thread_time() - started  # of this thread alone: a busy computer is no slow detector
                self._problem = problem
                self._found = found if scene == self._scene else None
                self._busy = False
                self.searches += found is not None
                self.failures += found is None
