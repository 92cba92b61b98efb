"""One face over time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from common.face import Box, Face
from faces.smoothing import OneEuroFilter, SmoothedSmile
from smile_recognition import crop_tilted

SHOWN_AFTER_S = 0.12  # a frame or two that can't be read don't make a box flicker
_COAST_S = 1.0  # for so long a hidden face is expected to move on as it did
_PORTRAIT = 16  # pixels
PORTRAIT_SHAPE = (11, _PORTRAIT)  # the upper, calmer part
THUMBNAIL_SHAPE = (24, 32)
PORTRAITS = 4  # the last of which may show a hand already


@dataclass
class Track:
    """A face and what is known about its past. Positions are in pixels, times as the tracker gets them."""

    face: Face  # as it is shown
    sight: Face  # the last one, as it was read
    seen_at: float
    tried_at: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # pixels a second
    course: np.ndarray = field(default_factory=lambda: np.zeros(2))  # the same, over a longer time
    steady: OneEuroFilter = field(default_factory=OneEuroFilter)
    smile: SmoothedSmile = field(default_factory=SmoothedSmile)
    portraits: deque[np.ndarray] = field(default_factory=lambda: deque(maxlen=PORTRAITS))
    portrait_at: float = float("-inf")
    like_at: float = float("-inf")  # when it last looked as before, or the detector saw it, too
    missed: bool = False  # looked for since it was seen, and not found

    def hidden(self, now: float) -> bool:
        return now - self.seen_at > (SHOWN_AFTER_S if self.missed else _COAST_S)

    def moved_by(self, now: float) -> np.ndarray:
        """By how many pixels `(x, y)` the face has probably moved since it was seen."""
        return (self.course if self.hidden(now) else self.velocity) * min(now - self.seen_at, _COAST_S)

    def expected(self, now: float) -> Box:
        dx, dy = self.moved_by(now)
        return self.sight.box.shifted(round(dx), round(dy))

    def likeness(self, portrait: np.ndarray) -> float:
        """-1 to 1: how much the face looked like `portrait` lately."""
        return max((correlation(mine, portrait) for mine in self.portraits), default=1.0)


@dataclass
class Memory:
    """Everything that a tracker knows between two pictures."""

    tracks: list[Track] = field(default_factory=list)
    next_id: int = 1
    updated_at: float = float("-inf")
    searched_finely_at: float = float("-inf")
    thumbnail: np.ndarray | None = None  # float32 (24, 32), of the last picture
    before_cut: tuple[float, np.ndarray, list[Track]] | None = None  # when; the thumbnail and the faces of that scene


def portrait(gray: np.ndarray, sight: Face) -> np.ndarray:
    """The upper, calmer part of the upright face, small: float32 `PORTRAIT_SHAPE`."""
    crop, _ = crop_tilted(gray, sight.box, sight.angle, _PORTRAIT)
    return crop[: PORTRAIT_SHAPE[0]].astype(np.float32)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The correlation of two pictures of one shape, -1 to 1; 0 if one has no contrast."""
    # Small pictures: these calls cost a third of what NumPy's `mean` and `sum` do.
    a, b = a - cv2.mean(a)[0], b - cv2.mean(b)[0]
    norm = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return float(np.vdot(a, b)) / norm if norm > 1e-6 else 0.0
