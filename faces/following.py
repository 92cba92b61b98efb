"""From a face in one frame to the same face in the next, by the smile network alone and with no memory.

    >>> face = follow(gray, before.points, recognizer)   # landmarks of the frame before, (5, 2) pixels
    >>> face.present, face.smile
    (True, 0.97)

The landmarks of the last frame say where to cut this one; what is cut out says where the landmarks are now, and whether it
still is a face. A detector is needed to begin, not to go on.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from common.face import Box, Face
from faces.alignment import TYPICAL_LANDMARKS, align
from smile_recognition import SmileRecognizer

_UPRIGHT = 8.0  # degrees of lean that the network reads as well as none, and boxes of detectors know nothing of
# What one look can be off by and still see: beyond, a second look from the better place costs a millisecond.
_NEAR_SHIFT, _NEAR_SIZE, _NEAR_ANGLE = 0.10, 1.12, 10.0
# What cannot happen to a face between two looks, nor to the shape of one: then it was something else.
_FARTHEST = 1e5  # pixels; no picture is as large
_MOST_SHIFT, _MOST_SIZE, _MOST_MISFIT = 0.7, 1.8, 0.17


def follow(gray: np.ndarray, landmarks: np.ndarray, recognizer: SmileRecognizer) -> Face:
    """The face of `landmarks` `(5, 2)`, of a moment ago, in the picture `gray` uint8 `(h, w)`; check `present`.

    Landmarks that mean nothing, from a stranger say, give a sight that is not present.
    """
    if not (np.abs(landmarks) < _FARTHEST).all():  # nor not a number
        return _nothing(Box(0, 0, 0, 0))
    box, angle = align(landmarks)
    return look(gray, box, angle, recognizer)


def look(gray: np.ndarray, box: Box, angle: float, recognizer: SmileRecognizer) -> Face:
    """What the network sees in `box`, which leans `angle` degrees clockwise; looks again from nearer if that was far off."""
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


def distance(box: Box, other: Box) -> float:
    """Between the centres of two boxes, in heights of the larger one."""
    (x, y), (u, v) = box.center, other.center
    return math.hypot(x - u, y - v) / max(1, box.height, other.height)


def misfit(landmarks: np.ndarray, box: Box, angle: float) -> float:
    """How unlike a face's the landmarks lie: root mean square distance from typical places, in box heights."""
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
    return 0 <= x <= shape[1] and 0 <= y <= shape[0] and 12 <= box.height <= 4 * max(shape[:2])
