"""Follow faces from frame to frame: the same id, a steady box and a steady probability.

A detector is too slow to search every frame. So a thread of its own searches whole frames now and then for new faces, and
each face already known is found again by the same detector in a small region round its last place.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, replace

import cv2
import numpy as np

from errors import DetectorError, SmileError
from face_detection import Box, FaceDetector
from smile_recognition import PRESENCE_THRESHOLD, SMILE_THRESHOLD, SmileRecognizer

log = logging.getLogger("smile")

_SEARCH_EVERY_S = 0.25  # with no face in view
_SEARCH_EVERY_WITH_FACES_S = 1.0
_FORGET_AFTER_S = 0.6  # a tilt or a hand hides a face from the detector for a moment
_REGION = 1.8  # side of the searched region in box sides
_SEARCH_BOX_SLACK = 0.2  # in box heights
_FOLLOWED_PER_FRAME = 4  # more faces take turns
_SMILE_SMOOTHING_S = 0.08


@dataclass(frozen=True)
class Face:
    """One face. `smile`: P(smile), lightly smoothed over time; `raw_smile`: this frame's own.

    `landmarks`: five `(x, y)` in pixels of the picture, in the order of `smile_recognition.LANDMARKS`.
    """

    id: int
    box: Box
    smile: float
    raw_smile: float
    landmarks: tuple[tuple[float, float], ...] = ()

    @property
    def label(self) -> str:
        return "smile" if self.smile >= SMILE_THRESHOLD else "no_smile"


@dataclass
class _Known:
    face: Face
    search_box: Box  # where to look: kept while the face moves little, so that a still face gives a still box
    seen_at: float
    tried_at: float


def smallest_face(height: int) -> float:
    """Height in pixels of the smallest face to look for in a picture `height` pixels high."""
    return max(40.0, height / 12)


def as_points(landmarks: np.ndarray) -> tuple[tuple[float, float], ...]:
    """`(5, 2)` -> five `(x, y)`."""
    return tuple((float(x), float(y)) for x, y in landmarks)


class FaceTracker:
    """Faces over time. `update` is called from one thread; the search for new faces runs in another until `close()`."""

    def __init__(
        self,
        detector: FaceDetector,
        recognizer: SmileRecognizer,
        *,
        follower: FaceDetector | None = None,
        offline: bool = False,
    ) -> None:
        """`follower`: a second detector for the small regions, so that following never waits for a search.

        `offline`: nothing has to be in time, so `update` itself searches, and follows every face in every frame: what is
        found depends on the frames and their times only, not on how fast the computer is.
        """
        self._offline = offline
        self._detector = detector
        self._follower = follower or detector
        self._recognizer = recognizer
        self._known: list[_Known] = []
        self._next_id = 1
        self._changed = threading.Condition()
        self._to_search: tuple[np.ndarray, int] | None = None  # a frame and its scene
        self._searching = False
        self._searched_at = float("-inf")
        self._found: list[Box] | None = None
        self._problem: SmileError | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self._updated_at = float("-inf")
        self._scene = 0
        self.searches = 0  # that worked
        self.timings_ms = {"follow": 0.0, "smile": 0.0}

    def update(self, image: np.ndarray, now: float) -> list[Face]:
        """Faces in the next frame, uint8 BGR `(h, w, 3)`, at `now` monotonic seconds; largest first.

        Raises the SmileError that the searching thread met, if it met one.
        """
        self._raise_problem()
        started = time.perf_counter()
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        self._follow(gray, now)
        self._take_found(now)
        self._ask_for_search(image, now)
        if self._offline:  # the search is over already
            self._raise_problem()
            self._take_found(now)
        followed = time.perf_counter()
        self._read_smiles(gray, now - self._updated_at)
        self._updated_at = now
        self.timings_ms = {
            "follow": (followed - started) * 1e3,
            "smile": (time.perf_counter() - followed) * 1e3,
        }
        return sorted((known.face for known in self._known), key=lambda face: -face.box.area)

    def forget(self) -> None:
        """Drop all faces: what comes next is another scene."""
        self._known.clear()
        with self._changed:
            self._scene += 1  # what a search under way finds belongs to the old scene
            self._found = None
            self._searched_at = float("-inf")

    def close(self, timeout: float = 2.0) -> None:
        """Ends the searching thread, waiting up to `timeout` seconds for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _raise_problem(self) -> None:
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem

    # --- known faces ---

    def _follow(self, gray: np.ndarray, now: float) -> None:
        turns = len(self._known) if self._offline else _FOLLOWED_PER_FRAME
        for known in sorted(self._known, key=lambda known: known.tried_at)[:turns]:
            known.tried_at = now
            box = self._find_again(gray, known.search_box)
            if box is not None:
                if _moved(known.search_box, box) > _SEARCH_BOX_SLACK:
                    known.search_box = box
                known.face = replace(known.face, box=_steadied(known.face.box, box))
                known.seen_at = now
        self._known = [known for known in self._known if now - known.seen_at < _FORGET_AFTER_S]
        # Two ids that have come to follow one face: the older one stays.
        for younger in sorted(self._known, key=lambda known: -known.face.id):
            if any(o.face.id < younger.face.id and o.face.box.iou(younger.face.box) > 0.5 for o in self._known):
                self._known.remove(younger)

    def _find_again(self, gray: np.ndarray, box: Box) -> Box | None:
        x, y = box.center
        half = _REGION * box.height / 2
        top, left = max(0, int(y - half)), max(0, int(x - half))
        region = gray[top : int(y + half), left : int(x + half)]
        if min(region.shape) < 16:
            return None
        found = self._follower.detect(region, min_face=0.72 * box.height)
        candidates = [candidate.shifted(left, top) for candidate in found]
        return max(candidates, key=lambda candidate: candidate.iou(box), default=None)

    def _read_smiles(self, gray: np.ndarray, elapsed: float) -> None:
        keep = math.exp(-elapsed / _SMILE_SMOOTHING_S)
        readings = self._recognizer.read(gray, [known.face.box for known in self._known])
        doubtful = {
            known.face.id
            for known, presence in zip(self._known, readings.presence.tolist(), strict=True)
            if math.isnan(known.face.smile) and presence < PRESENCE_THRESHOLD
        }
        for known, raw, points in zip(self._known, readings.smile.tolist(), readings.landmarks, strict=True):
            old = known.face.smile
            smile = raw if math.isnan(old) else keep * old + (1 - keep) * raw
            known.face = replace(known.face, smile=smile, raw_smile=raw, landmarks=as_points(points))
        # The detector takes a pattern for a face now and then; the network is asked before one is shown.
        self._known = [known for known in self._known if known.face.id not in doubtful]

    # --- new faces ---

    def _take_found(self, now: float) -> None:
        with self._changed:
            found, self._found = self._found, None
        for box in found or []:
            if any(known.face.box.iou(box) > 0.2 or _holds(known.face.box, box) for known in self._known):
                continue
            self._known.append(_Known(Face(self._next_id, box, math.nan, math.nan), box, seen_at=now, tried_at=now))
            self._next_id += 1

    def _ask_for_search(self, image: np.ndarray, now: float) -> None:
        if self._offline:
            pause = _SEARCH_EVERY_S if self._known else 0.0
        else:
            pause = _SEARCH_EVERY_WITH_FACES_S if self._known else _SEARCH_EVERY_S
        with self._changed:
            if self._closed or self._searching or now - self._searched_at < pause:
                return
            self._to_search, self._searching, self._searched_at = (image, self._scene), True, now
            self._changed.notify_all()
        if self._offline:
            self._search_once()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._search, name="face-search", daemon=True)
            self._thread.start()

    def _search(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._to_search is not None, 60)
                if self._closed:
                    return
            self._search_once()

    def _search_once(self) -> None:
        with self._changed:
            if self._to_search is None:
                return
            (image, scene), self._to_search = self._to_search, None
        boxes: list[Box] | None = None
        try:
            boxes = self._detector.detect(image, min_face=smallest_face(image.shape[0]))
        except SmileError as error:
            self._problem = error
        except Exception as error:
            log.exception("the search for faces failed")
            self._problem = DetectorError(f"The face detector failed ({type(error).__name__}); the app's log says more.")
        finally:
            del image
            with self._changed:
                self._found = boxes if scene == self._scene else None
                self._searching = False
                self.searches += boxes is not None


def _steadied(old: Box, new: Box) -> Box:
    """Half-way to the new place when it is near, all the way when the face really moved."""
    weight = min(1.0, 0.35 + 8 * _moved(old, new))
    return Box(*(round(a + weight * (b - a)) for a, b in zip(old, new, strict=True)))


def _moved(old: Box, new: Box) -> float:
    """How far any edge moved, in box heights."""
    return max(abs(a - b) for a, b in zip(old, new, strict=True)) / max(1, old.height)


def _holds(box: Box, other: Box) -> bool:
    x, y = other.center
    return box.left <= x <= box.right and box.top <= y <= box.bottom
