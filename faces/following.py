"""Follow a face from one frame to the next by the smile network alone. Nothing is remembered in between.

    >>> face = follow(gray, before.points, recognizer)   # landmarks of the frame before, (5, 2) pixels
    >>> face.present, face.smile
    (True, 0.97)

The landmarks of the last frame say where to cut this one. The cut says where the landmarks are now, and whether it still is
a face. A detector is needed to begin, not to go on.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from common.face import Box, Face
from faces.alignment import TYPICAL_LANDMARKS, align
from faces.odds import log_odds
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer

_SURE = 0.95  # of a new face whose detector only says yes or no; chosen on validation frames
# Of a new face whose detector gives a score: the sum of its log-odds and those of the presence, weighted and cut off. Chosen
# on the frames of `training.finder_probe --part val`.
_WEIGHT, _ENOUGH, _CUT_OFF = 0.75, 4.0, 0.001
_UPRIGHT = 8.0  # degrees of lean that the network reads as well as an upright face; detectors' boxes don't show them
# How far off a look may be and still see the face. Beyond that, a second look from the better place costs a millisecond.
_NEAR_SHIFT, _NEAR_SIZE, _NEAR_ANGLE = 0.10, 1.12, 10.0
# Changes that can't happen to a face between two looks. What changes so much was something else.
_FARTHEST = 1e5  # pixels; no picture is as large
_MOST_SHIFT, _MOST_SIZE, _MOST_MISFIT = 0.7, 1.8, 0.17
_LEAST_HEIGHT, _MOST_HEIGHT = 12, 4  # of a box: pixels, and sides of the picture


def follow(gray: np.ndarray, landmarks: np.ndarray, recognizer: SmileRecognizer) -> Face:
    """The face that had these `landmarks` `(5, 2)` a moment ago, in the picture `gray` uint8 `(h, w)`. Check `present`.

    Landmarks that make no sense, for example from a stranger, give a sight that is not present.
    """
    if not (np.abs(landmarks) < _FARTHEST).all():  # also refuses NaN
        return _nothing(Box(0, 0, 0, 0))
    box, angle = align(landmarks)
    return look(gray, box, angle, recognizer)


def look(gray: np.ndarray, box: Box, angle: float, recognizer: SmileRecognizer) -> Face:
    """What the network sees in `box`, which leans `angle` degrees clockwise. Looks again from the better place if that was
    far off.
    """
    if not _inside(box, gray.shape):
        return _nothing(box)
    sight = _look_once(gray, box, angle, recognizer)
    if sight.present and _far(sight, box, angle) and _inside(sight.box, gray.shape):
        again = _look_once(gray, sight.box, sight.angle, recognizer)
        sight = replace(again, presence=min(sight.presence, again.presence))
    possible = (
        _inside(sight.box, gray.shape)
        and distance(sight.box, box) <= _MOST_SHIFT
        and 1 / _MOST_SIZE < sight.box.height / max(1, box.height) < _MOST_SIZE
        and misfit(sight.points, sight.box, sight.angle) <= _MOST_MISFIT
    )
    return sight if possible else replace(sight, presence=0.0)


def may_be_a_face(presence: float, score: float | None) -> bool:
    """Whether two networks together are sure enough: the detector with its `score`, and the smile network with `presence`, 0
    to 1. What one of them doubts a little must be clear to the other.
    """
    if score is None:
        return presence >= _SURE
    together = log_odds(score, _CUT_OFF) + _WEIGHT * log_odds(presence, _CUT_OFF)
    return presence >= PRESENCE_THRESHOLD and together >= _ENOUGH


def is_surely_a_face(gray: np.ndarray, face: Face, recognizer: SmileRecognizer, score: float | None = None) -> bool:
    """Whether a face that a detector proposed with `score` and the network saw may be shown, by one more look at its mirror
    image.

    A face stays one in a mirror. A pattern that passes for one often does not.
    """
    if not may_be_a_face(face.presence, score):
        return False
    top, right, bottom, left = face.box
    across, down = max(1, right - left) // 2, max(1, bottom - top) // 2
    top, bottom = max(0, top - down), min(gray.shape[0], bottom + down)
    left, right = max(0, left - across), min(gray.shape[1], right + across)
    mirror = np.ascontiguousarray(gray[top:bottom, left:right][:, ::-1])
    box = Box(face.box.top - top, right - face.box.left, face.box.bottom - top, right - face.box.right)
    (seen,) = recognizer.read(mirror, [box], [-face.angle])
    return seen.presence >= PRESENCE_THRESHOLD if score is None else may_be_a_face(seen.presence, score)


def distance(box: Box, other: Box) -> float:
    """The distance between the centres of two boxes, in heights of the larger one."""
    (x, y), (u, v) = box.center, other.center
    return math.hypot(x - u, y - v) / max(1, box.height, other.height)


def misfit(landmarks: np.ndarray, box: Box, angle: float) -> float:
    """How little the landmarks lie like a face's: root mean square distance from their typical places, in box heights."""
    radians = math.radians(angle)
    turn = np.array([[math.cos(radians), -math.sin(radians)], [math.sin(radians), math.cos(radians)]])
    expected = (TYPICAL_LANDMARKS - 0.5) @ turn.T * box.height + box.center - 0.5
    return math.sqrt(float(np.mean(np.sum((landmarks - expected) ** 2, axis=1)))) / max(1, box.height)


def _look_once(gray: np.ndarray, box: Box, angle: float, recognizer: SmileRecognizer) -> Face:
    lean = math.copysign(max(0.0, abs(angle) - _UPRIGHT), angle)
    (face,) = recognizer.read(gray, [box], [lean])
    where, leans = align(face.points)
    return replace(face, box=where, angle=leans)


def _nothing(box: Box) -> Face:
    return Face(0, box, 0.0, 0.0, ((0.0, 0.0),) * 5, presence=0.0)


def _far(sight: Face, box: Box, angle: float) -> bool:
    ratio = sight.box.height / max(1, box.height)
    return (
        distance(sight.box, box) > _NEAR_SHIFT
        or not 1 / _NEAR_SIZE < ratio < _NEAR_SIZE
        or abs(sight.angle - angle) > _NEAR_ANGLE
    )


def _inside(box: Box, shape: tuple[int, ...]) -> bool:
    x, y = box.center
    return 0 <= x <= shape[1] and 0 <= y <= shape[0] and _LEAST_HEIGHT <= box.height <= _MOST_HEIGHT * max(shape[:2])
