"""All faces of one still picture, with more effort than a video frame gets.

    >>> analyze_photo(image, create_detector("face_recognition"), SmileRecognizer())
    [Face(id=1, box=Box(top=41, right=139, bottom=130, left=49), smile=0.98, raw_smile=0.98, ...)]

The detector looks first; where it finds no face, it looks again for smaller and for tilted ones, and then a less strict
detector is asked. More effort means more mistakes, so every candidate must look like a face to the network's presence
output. Each face is then read upright and centred, by its own landmarks, and once more in the mirror.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from face_alignment import align
from face_detection import Box, FaceDetector, HaarDetector
from face_tracking import Face, as_points, smallest_face
from smile_recognition import PRESENCE_THRESHOLD, Readings, SmileRecognizer

_MIRRORED = [1, 0, 2, 4, 3]  # left and right change places
_TILTS = (-30.0, 30.0)
_SAME_FACE = 0.3  # overlap of boxes
_FINER = 20.0  # pixels: the smallest face of the second look


@dataclass(frozen=True)
class Candidate:
    """A box that may hold a face which leans `angle` degrees clockwise, and which step proposed it."""

    box: Box
    angle: float
    step: str


def analyze_photo(image: np.ndarray, detector: FaceDetector, recognizer: SmileRecognizer) -> list[Face]:
    """All faces of one still picture, uint8 BGR `(h, w, 3)` or grey `(h, w)`, largest first, ids from 1."""
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found: list[tuple[Box, float]] = []
    for candidates in search_steps(image, detector):
        found = verified(gray, candidates, recognizer)
        if found:
            break
    boxes, angles = [box for box, _ in found], [angle for _, angle in found]
    readings = read_carefully(gray, boxes, angles, recognizer)
    faces = [(boxes[i], float(readings.smile[i]), as_points(readings.landmarks[i])) for i in range(len(boxes))]
    faces.sort(key=lambda face: -face[0].area)
    return [Face(i + 1, box, smile, smile, points) for i, (box, smile, points) in enumerate(faces)]


def search_steps(image: np.ndarray, detector: FaceDetector) -> Iterator[list[Candidate]]:
    """Candidates of one step after the other, each more willing than the last; the caller stops at the first success."""
    yield [Candidate(box, 0.0, "first look") for box in detector.detect(image, min_face=smallest_face(image.shape[0]))]
    yield [Candidate(box, 0.0, "smaller faces") for box in detector.detect(image, min_face=_finer(image))]
    yield [candidate for tilt in _TILTS for candidate in _tilted(image, detector, tilt)]
    yield [Candidate(box, 0.0, "haar") for box in _haar().detect(image, min_face=max(_FINER, image.shape[0] / 20))]


def verified(gray: np.ndarray, candidates: list[Candidate], recognizer: SmileRecognizer) -> list[tuple[Box, float]]:
    """Box and tilt, from its own landmarks, of each candidate that looks like a face; the same face only once."""
    kept: list[tuple[float, Box, float]] = []
    for candidate in candidates:
        first = recognizer.read(gray, [candidate.box], [candidate.angle])
        box, angle = align(first.landmarks[0])
        if not _plausible(box, candidate.box):
            continue
        second = recognizer.read(gray, [box], [angle])
        presence = float(second.presence[0])
        if presence >= PRESENCE_THRESHOLD:
            kept.append((presence, box, angle))
    kept.sort(reverse=True, key=lambda entry: entry[0])
    faces: list[tuple[Box, float]] = []
    for _, box, angle in kept:
        if all(box.iou(other) < _SAME_FACE for other, _ in faces):
            faces.append((box, angle))
    return faces


def read_carefully(gray: np.ndarray, boxes: list[Box], angles: list[float] | None, recognizer: SmileRecognizer) -> Readings:
    """As `recognizer.read`, averaged with what it sees in the mirror."""
    plain = recognizer.read(gray, boxes, angles)
    width = gray.shape[1]
    mirrored_boxes = [Box(box[0], width - box[3], box[2], width - box[1]) for box in boxes]
    mirrored_angles = None if angles is None else [-angle for angle in angles]
    mirrored = recognizer.read(np.ascontiguousarray(gray[:, ::-1]), mirrored_boxes, mirrored_angles)
    points = mirrored.landmarks[:, _MIRRORED] * (-1, 1) + (width - 1, 0)
    return Readings(
        _mean_probability(plain.smile, mirrored.smile),
        _mean_probability(plain.presence, mirrored.presence),
        ((plain.landmarks + points) / 2).astype(np.float32),
    )


def _mean_probability(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean of the logits: probabilities near 0 and 1 keep their weight."""
    logits = [np.log(p) - np.log1p(-p) for p in (np.clip(a, 1e-6, 1 - 1e-6), np.clip(b, 1e-6, 1 - 1e-6))]
    return (1 / (1 + np.exp(-(logits[0] + logits[1]) / 2))).astype(np.float32)


def _plausible(box: Box, proposed: Box) -> bool:
    return 0.5 < box.height / max(1, proposed.height) < 2 and box.iou(proposed) > 0.2


def _finer(image: np.ndarray) -> float:
    """The second look goes below the first, but a large picture is not blown up for faces that nobody could see."""
    return max(_FINER, smallest_face(image.shape[0]) / 2)


def _tilted(image: np.ndarray, detector: FaceDetector, tilt: float) -> list[Candidate]:
    """Faces of a copy turned so that those which lean `tilt` degrees clockwise stand upright."""
    height, width = image.shape[:2]
    radians = math.radians(tilt)
    wide = math.ceil(abs(width * math.cos(radians)) + abs(height * math.sin(radians)))
    high = math.ceil(abs(width * math.sin(radians)) + abs(height * math.cos(radians)))
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), tilt, 1.0
    )  # positive is counter-clockwise, which undoes the lean
    turn[:, 2] += ((wide - width) / 2, (high - height) / 2)
    back = cv2.invertAffineTransform(turn)
    copy = cv2.warpAffine(image, turn, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    candidates = []
    for box in detector.detect(copy, min_face=smallest_face(height)):
        x, y = back[:, :2] @ box.center + back[:, 2]
        half = box.height / 2
        upright = Box(round(y - half), round(x + half), round(y + half), round(x - half))
        candidates.append(Candidate(upright, tilt, "tilted copies"))
    return candidates


@cache
def _haar() -> FaceDetector:
    return HaarDetector()
