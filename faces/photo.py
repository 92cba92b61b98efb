"""All faces of one still picture, with more effort than a video frame gets.

    >>> analyze_photo(image, create_detector("finder"), SmileRecognizer())
    [Face(id=1, box=Box(top=41, right=139, bottom=130, left=49), smile=0.98, raw_smile=0.98, ...)]

The detector looks first. If it finds no face, it looks again for smaller ones. More effort means more mistakes, so every
candidate must look like a face to the network's presence output. A face that leans is read upright, by its own landmarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from common.face import Box, Face
from faces.alignment import align
from faces.detection import Candidate, FaceDetector, candidates
from faces.following import is_surely_a_face, may_be_a_face
from faces.search import smallest_face
from smile_recognition import SmileRecognizer

_LEANING = 20.0  # degrees; few faces that lean more are seen
_SAME_FACE = 0.3  # overlap of boxes
_ALIKE, _ALIKE_OVERLAP = 2.0, 0.2  # how far what was read may differ from the box that was proposed
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
    """Name and candidates of one step after another, each less strict than the last. Stop at the first success."""
    smallest = smallest_face(*image.shape[:2])
    # The second look goes for smaller faces, but a large picture is not blown up for faces that nobody could see.
    smaller = max(_FINER, smallest / 2)
    yield "first look", candidates(detector, image, min_face=smallest)
    yield "smaller faces", candidates(detector, image, min_face=smaller)


def verified(gray: np.ndarray, proposed: list[Candidate], recognizer: SmileRecognizer) -> list[Face]:
    """The reading of each candidate that looks like a face, each face once, the surest first.

    A face that leans by `_LEANING` degrees or more is read upright and centred. Others are read as the detector's box shows
    them, as the network was trained. On the validation photos that was right at least as often.
    """
    kept: list[Face] = []
    for candidate in proposed:
        leant = candidate.angle if abs(candidate.angle) >= _LEANING else 0.0
        (first,) = recognizer.read(gray, [candidate.box], [leant])
        box, angle = align(first.points)
        if not may_be_a_face(first.presence, candidate.score) or not _plausible(box, candidate.box):
            continue
        (second,) = recognizer.read(gray, [box], [angle])
        presence = min(first.presence, second.presence)  # a pattern seldom fools the network from both sides
        if is_surely_a_face(gray, replace(second, presence=presence), recognizer, candidate.score):
            leans = max(abs(angle), abs(leant)) >= _LEANING
            kept.append(replace(second if leans else first, presence=presence))
    kept.sort(key=lambda face: -face.presence)
    faces: list[Face] = []
    for face in kept:
        if all(face.box.iou(other.box) < _SAME_FACE for other in faces):
            faces.append(face)
    return faces


def _plausible(box: Box, proposed: Box) -> bool:
    return 1 / _ALIKE < box.height / max(1, proposed.height) < _ALIKE and box.iou(proposed) > _ALIKE_OVERLAP
