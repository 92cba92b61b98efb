"""All faces of one still picture, with more effort than a video frame gets.

    >>> analyze_photo(image, create_detector("face_recognition"), SmileRecognizer())
    [Face(id=1, box=Box(top=41, right=139, bottom=130, left=49), smile=0.98, raw_smile=0.98, ...)]

The detector looks first; where it finds no face, it looks again for smaller ones. If it sees only upright faces, turned
copies and a less strict detector come next. More effort means more mistakes, so every candidate must look like a face to the
network's presence output. A face that leans is read upright, by its own landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import cv2
import numpy as np

from common.face import Box, Face
from faces.alignment import align
from faces.detection import Candidate, FaceDetector, HaarDetector, LeaningDetector, candidates
from faces.search import effective_height, smallest_face
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer

_TILTS = (-30.0, 30.0)
_LEANING = 20.0  # degrees; the detector sees few faces that lean more
_SAME_FACE = 0.3  # overlap of boxes
_LARGEST_TURNED = 16_000_000  # pixels; a long narrow picture, turned, is mostly border
_FINER = 20.0  # pixels: the smallest face of the second look


def analyze_photo(image: np.ndarray, detector: FaceDetector, recognizer: SmileRecognizer) -> list[Face]:
    """All faces of one still picture, uint8 BGR `(h, w, 3)` or grey `(h, w)`, largest first, ids from 1."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found: list[Face] = []
    for _, proposed in search_steps(image, detector):
        found = verified(gray, proposed, recognizer)
        if found:
            break
    found.sort(key=lambda face: -face.box.area)
    return [replace(face, id=i + 1) for i, face in enumerate(found)]


def search_steps(image: np.ndarray, detector: FaceDetector) -> Iterator[tuple[str, list[Candidate]]]:
    """Name and candidates of one step after the other, each more willing than the last; stop at the first success."""
    smallest = smallest_face(*image.shape[:2])
    # The second look goes below the first, but a large picture is not blown up for faces that nobody could see.
    smaller = max(_FINER, smallest / 2)
    yield "first look", candidates(detector, image, min_face=smallest)
    yield "smaller faces", candidates(detector, image, min_face=smaller)
    if isinstance(detector, LeaningDetector):  # which has seen tilted faces already, and dim ones
        return
    yield "tilted copies", [found for tilt in _TILTS for found in _tilted(image, detector, tilt, smallest)]
    yield (
        "haar",
        [Candidate(box) for box in _haar().detect(image, min_face=max(_FINER, effective_height(*image.shape[:2]) / 20))],
    )


def verified(gray: np.ndarray, proposed: list[Candidate], recognizer: SmileRecognizer) -> list[Face]:
    """What is read of each candidate that looks like a face; the same face only once, the surest first.

    A face that leans by `_LEANING` degrees or more is read upright and centred; others as the detector's box shows them,
    which is what the network learned from (on the validation photos that was right at least as often).
    """
    kept: list[Face] = []
    for candidate in proposed:
        leant = candidate.angle if abs(candidate.angle) >= _LEANING else 0.0
        (first,) = recognizer.read(gray, [candidate.box], [leant])
        box, angle = align(first.points)
        if not _plausible(box, candidate.box):
            continue
        (second,) = recognizer.read(gray, [box], [angle])
        presence = min(first.presence, second.presence)  # a pattern seldom fools it from both sides
        if presence >= PRESENCE_THRESHOLD:
            leans = max(abs(angle), abs(leant)) >= _LEANING
            kept.append(replace(second if leans else first, presence=presence))
    kept.sort(key=lambda face: -face.presence)
    faces: list[Face] = []
    for face in kept:
        if all(face.box.iou(other.box) < _SAME_FACE for other in faces):
            faces.append(face)
    return faces


def _plausible(box: Box, proposed: Box) -> bool:
    return 0.5 < box.height / max(1, proposed.height) < 2 and box.iou(proposed) > 0.2


def _tilted(image: np.ndarray, detector: FaceDetector, tilt: float, smallest: float) -> list[Candidate]:
    """Faces of a copy turned so that those which lean `tilt` degrees clockwise stand upright."""
    shrink = min(1.0, 80 / smallest)  # more than the detector looks at would only cost memory
    height, width = (round(side * shrink) for side in image.shape[:2])
    if min(height, width) < 8:
        return []  # a line, which holds no face
    radians = math.radians(tilt)
    wide = math.ceil(abs(width * math.cos(radians)) + abs(height * math.sin(radians)))
    high = math.ceil(abs(width * math.sin(radians)) + abs(height * math.cos(radians)))
    if wide * high > _LARGEST_TURNED or max(wide, high, height, width) > 32_000:  # more than OpenCV can turn
        return []
    image = image if shrink == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    # A positive angle turns counter-clockwise, which undoes the lean.
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, 1.0)
    turn[:, 2] += ((wide - width) / 2, (high - height) / 2)
    back = cv2.invertAffineTransform(turn)
    copy = cv2.warpAffine(image, turn, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = []
    for box in detector.detect(copy, min_face=smallest * shrink):
        x, y = (back[:, :2] @ box.center + back[:, 2]) / shrink
        half = box.height / 2 / shrink
        upright = Box(round(y - half), round(x + half), round(y + half), round(x - half))
        found.append(Candidate(upright, tilt))
    return found


@cache
def _haar() -> FaceDetector:
    return HaarDetector()
