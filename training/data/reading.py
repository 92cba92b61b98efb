"""From one picture file to its face: found, cut out and turned grey, with landmarks and pieces of background."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

from common.face import Box
from faces.detection import FaceDetector
from faces.detectors import create_detector
from smile_recognition import crop_face
from training.data.faces import WIDE_BOX, WIDE_SIZE
from training.data.sources import Source

# Side of face_recognition's box in sides of the square round the 51 inner points of 68 (all but the jaw). Median over HOG's
# boxes of 238 keypoints frames; the two centres are the same to 0.02 of a side.
_BOX_SIDE = 1.32


@dataclass(frozen=True)
class Crop:
    """`gray` uint8 `(64, 64)`, `wide` uint8 `(128, 128)`; `landmarks` `(5, 2)`, `shape68` `(68, 2)`: NaN where unknown."""

    gray: np.ndarray
    wide: np.ndarray
    landmarks: np.ndarray
    shape68: np.ndarray


def read_picture(source: Source, name: str, data: bytes, points: np.ndarray | None = None) -> tuple[Crop, list[Crop]] | str:
    """The largest face of a picture, and crops without a face; or the reason why not: `unreadable`, `no_face`.

    `points` float `(68, 2)`: known landmarks in pixels of the picture; they say which face is meant.
    """
    cv2.setNumThreads(1)
    try:
        gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except cv2.error:  # a header that asks for more pixels than OpenCV holds
        gray = None
    if gray is None:
        return "unreadable"
    if source.cropped:
        return _cut(gray, Box(0, gray.shape[1], gray.shape[0], 0)), []
    if source.scale != (1.0, 1.0):
        gray = cv2.resize(gray, None, fx=source.scale[0], fy=source.scale[1], interpolation=cv2.INTER_CUBIC)
    box = _find(gray) if points is None else _find_at(gray, points)
    if box is None:
        return "no_face"
    rng = np.random.default_rng([*name.encode()][-8:])
    return _cut(gray, box, points), [_cut(gray, b, face=False) for b in _backgrounds(gray, box, rng, source.backgrounds)]


def _cut(gray: np.ndarray, box: Box, points: np.ndarray | None = None, *, face: bool = True) -> Crop:
    margin_x, margin_y = ((WIDE_SIZE / WIDE_BOX - 1) / 2 * side for side in (box.width, box.height))
    around = (box.top - margin_y, box.right + margin_x, box.bottom + margin_y, box.left - margin_x)
    wide = crop_face(gray, around, WIDE_SIZE)
    shape68 = _dlib_shape(wide) if face else np.full((68, 2), np.nan)
    landmarks = np.full((5, 2), np.nan)
    if points is not None:
        landmarks = five_points((points + 0.5 - (box.left, box.top)) / (box.width, box.height))
    return Crop(crop_face(gray, box), wide, landmarks.astype(np.float32), shape68.astype(np.float32))


def five_points(points: np.ndarray) -> np.ndarray:
    """iBUG's 68 points `(..., 68, 2)` -> `(..., 5, 2)` in the order of `smile_recognition.LANDMARKS`."""
    eyes = points[..., 36:42, :].mean(axis=-2), points[..., 42:48, :].mean(axis=-2)
    return np.stack([*eyes, points[..., 30, :], points[..., 48, :], points[..., 54, :]], axis=-2)


def _find(gray: np.ndarray) -> Box | None:
    """The largest face, by the app's detector. If that sees nothing, by a finer search and then by the finder network."""
    for detector, smallest in ((_detector(), 40), (_detector(), 24), (_finder(), 24)):
        boxes = detector.detect(gray, min_face=smallest)
        if boxes:
            return boxes[0]
    return None


def _find_at(gray: np.ndarray, points: np.ndarray) -> Box:
    x, y = points[17:].mean(axis=0)
    boxes = [box for box in _detector().detect(gray, min_face=40) if box.left < x < box.right and box.top < y < box.bottom]
    return boxes[0] if boxes else box_from_points(points)


def box_from_points(points: np.ndarray) -> Box:
    """The box that face_recognition would give a face with these 68 points `(68, 2)`."""
    low, high = points[17:].min(axis=0), points[17:].max(axis=0)
    half = float((high - low).max()) * _BOX_SIDE / 2
    x, y = (low + high) / 2
    return Box(round(y - half), round(x + half), round(y + half), round(x - half))


def _backgrounds(gray: np.ndarray, face: Box, rng: np.random.Generator, wanted: int) -> list[Box]:
    """Boxes without a whole face: first those that Haar at its laxest takes for one, then random ones."""
    if not wanted:
        return []
    found, _ = _lax_haar().detectMultiScale2(gray, scaleFactor=1.15, minNeighbors=1, minSize=(24, 24))
    boxes = [Box(int(y), int(x + w), int(y + h), int(x)) for x, y, w, h in found]
    height, width = gray.shape
    for _ in range(20):
        side = int(face.height * rng.uniform(0.35, 1.4))
        y, x = int(rng.integers(-side // 4, height - side // 2)), int(rng.integers(-side // 4, width - side // 2))
        boxes.append(Box(y, x + side, y + side, x))
    return [box for box in boxes if box.iou(face) < 0.15][:wanted]


def _dlib_shape(wide: np.ndarray) -> np.ndarray:
    """dlib's 68 points `(68, 2)` of the face in a wide crop, 0 to 1 across the box."""
    import dlib

    twice = cv2.resize(wide, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    low, high = WIDE_SIZE - WIDE_BOX, WIDE_SIZE + WIDE_BOX
    box = Box(low, high, high, low)
    points = np.zeros((68, 2))
    for _ in range(2):  # the second time from the box that its own points give: sets cut their faces differently
        rectangle = dlib.rectangle(box.left, box.top, box.right, box.bottom)
        points = np.array([(p.x, p.y) for p in _shape_predictor()(twice, rectangle).parts()], float)
        box = box_from_points(points)
    return (points + 0.5 - low) / (high - low)


# One of each for each worker process.
@cache
def _detector() -> FaceDetector:
    return create_detector("face_recognition")


@cache
def _finder() -> FaceDetector:
    return create_detector("finder")


@cache
def _lax_haar() -> Any:
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")  # type: ignore[attr-defined]


@cache
def _shape_predictor() -> Any:
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
    import dlib
    import face_recognition_models

    return dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
