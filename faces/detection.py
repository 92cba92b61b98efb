"""Find faces in one picture: four detectors behind one interface.

    >>> detector = create_detector("face_recognition")
    >>> detector.detect(bgr, min_face=60)
    [Box(top=118, right=386, bottom=304, left=201)]

Every detector takes uint8 BGR `(h, w, 3)` or grey `(h, w)` and returns boxes in face_recognition's css order
`(top, right, bottom, left)`, in pixels of the given picture, largest first. Boxes may reach a little past the edge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np

from common.errors import DetectorError
from common.face import Box


class Candidate(NamedTuple):
    """A box that may hold a face that leans `angle` degrees clockwise.

    `score`: how sure the detector is, 0 to 1; None for one that only says yes or no.
    """

    box: Box
    angle: float = 0.0
    score: float | None = None


class FaceDetector(Protocol):
    """What every detector offers."""

    name: str

    def load(self) -> None:
        """Load the model now and not with the first picture. Raises DetectorError."""

    def detect(self, image: np.ndarray, *, min_face: float = 40) -> list[Box]:
        """Boxes of all faces at least about `min_face` pixels high. Raises DetectorError if the model can't be loaded."""


@runtime_checkable
class LeaningDetector(Protocol):
    """A detector that sees faces at any angle and knows the angle."""

    def candidates(self, image: np.ndarray, *, min_face: float = 40) -> list[Candidate]:
        """Like `detect`, with the lean and score of each face, and with doubtful ones, which somebody else must confirm."""


def candidates(detector: FaceDetector, image: np.ndarray, *, min_face: float = 40) -> list[Candidate]:
    """What `detector` sees. For most detectors every face is upright."""
    if isinstance(detector, LeaningDetector):
        return detector.candidates(image, min_face=min_face)
    return [Candidate(box) for box in detector.detect(image, min_face=min_face)]


_MOST_PIXELS = 8_000_000  # of the scaled picture; the finest look at a 16:9 photo takes 6.6 million


class _LazyDetector:
    """Loads its model once, at first use, whichever thread comes first. Takes one picture at a time."""

    name = ""
    _smallest = 80.0  # height in pixels of the smallest face the raw detector finds, at scale 1

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    def load(self) -> None:
        with self._lock:
            if self._model is None:
                self._model = self._load()

    def detect(self, image: np.ndarray, *, min_face: float = 40) -> list[Box]:
        self.load()
        height, width = image.shape[:2]
        if min(height, width) < 8:
            return []
        # The picture is scaled so that `min_face` becomes the raw detector's smallest face. So neither cost nor reach
        # depends on resolution. Enlarging far beyond real pixels adds blur, not faces.
        scale = float(np.clip(self._smallest / max(min_face, 1), 0.02, 4))
        scale = min(scale, (_MOST_PIXELS / (height * width)) ** 0.5)  # long narrow ones would take minutes
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = image if size == (width, height) else cv2.resize(image, size, interpolation=interpolation)
        with self._lock:
            found = self._find(scaled)
        sx, sy = width / size[0], height / size[1]
        boxes = [
            Box(round(top * sy), round(right * sx), round(bottom * sy), round(left * sx))
            for top, right, bottom, left in found
        ]
        return sorted(boxes, key=lambda box: -box.area)

    def _load(self) -> Any:
        raise NotImplementedError

    def _find(self, image: np.ndarray) -> list[tuple[float, float, float, float]]:
        raise NotImplementedError


class FaceRecognitionDetector(_LazyDetector):
    """face_recognition's default detector, dlib's HOG: for upright frontal faces."""

    name = "face_recognition"
    _smallest = 80.0

    def _load(self) -> Callable[[np.ndarray], Any]:
        # face_recognition.face_locations() calls the same detector, but the package loads four networks first: a second and
        # a hundred megabytes. This detector is ours alone, because it keeps state while it works.
        try:
            import dlib
        except ImportError as error:
            raise DetectorError(
                "The face_recognition detector can't be loaded because its package dlib is missing or damaged; "
                "run `pip install -r requirements/app.txt`, or start with --detector haar."
            ) from error
        return dlib.get_frontal_face_detector()

    def _find(self, image: np.ndarray) -> list[tuple[float, float, float, float]]:
        # HOG reads only brightness, so a grey picture gives the same faces for less work.
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        height, width = gray.shape
        return [
            (max(face.top(), 0), min(face.right(), width), min(face.bottom(), height), max(face.left(), 0))
            for face in self._model(np.ascontiguousarray(gray), 0)
        ]


class HaarDetector(_LazyDetector):
    """OpenCV's Haar cascade, which is quicker on whole frames."""

    name = "haar"
    _smallest = 40.0

    def __init__(self, *, adjust: bool = True) -> None:
        super().__init__()
        self._adjust = adjust

    def _load(self) -> cv2.CascadeClassifier:
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        cascade = cv2.CascadeClassifier(str(path)) if path.is_file() else None
        if cascade is None or cascade.empty():
            raise DetectorError("OpenCV's Haar cascade is missing; run `pip install -r requirements/app.txt` for OpenCV 4.")
        return cascade

    def _find(self, image: np.ndarray) -> list[tuple[float, float, float, float]]:
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        found = self._model.detectMultiScale(gray, scaleFactor=1.15, minNeighbors=6, minSize=(36, 36))
        return [_matched(x, y, w, h, _HAAR_GEOMETRY if self._adjust else _AS_IT_IS) for x, y, w, h in found]


class YuNetDetector(_LazyDetector):
    """OpenCV's YuNet network. It finds more faces, tilted ones too. Its file must be given."""

    name = "yunet"
    _smallest = 20.0

    def __init__(self, model: Path | None, *, adjust: bool = True) -> None:
        super().__init__()
        self._path = model
        self._adjust = adjust

    def _load(self) -> Any:
        if self._path is None:
            raise DetectorError(
                "The yunet detector needs its model file; give it with --detector-model FILE "
                "(face_detection_yunet from OpenCV's model zoo)."
            )
        if not self._path.is_file():
            raise DetectorError(f"There is no detector model at {self._path}; check --detector-model.")
        try:
            model = cv2.FaceDetectorYN.create(str(self._path), "", (320, 320), score_threshold=0.6)
            model.detect(np.zeros((320, 320, 3), np.uint8))  # another network also loads, and only fails here
            return model
        except cv2.error as error:
            raise DetectorError(f"{self._path} is not a YuNet model that OpenCV can read; download it again.") from error

    def _find(self, image: np.ndarray) -> list[tuple[float, float, float, float]]:
        bgr = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        self._model.setInputSize((bgr.shape[1], bgr.shape[0]))
        _, faces = self._model.detect(bgr)
        geometry = _YUNET_GEOMETRY if self._adjust else _AS_IT_IS
        return [_matched(x, y, w, h, geometry) for x, y, w, h, *_ in (faces if faces is not None else [])]


class _Geometry(NamedTuple):
    """How face_recognition's box lies to another detector's box of the same face, in that box's sides: centre shift and
    size.
    """

    right: float
    down: float
    width: float
    height: float


# The network was trained on face_recognition's boxes, so those of other detectors are moved to match.
# Medians of `python -m benchmarks.box_geometry`, over GENKI photos and without a look at any smile.
_AS_IT_IS = _Geometry(0, 0, 1, 1)
_HAAR_GEOMETRY = _Geometry(0.005, 0.058, 0.873, 0.878)
_YUNET_GEOMETRY = _Geometry(-0.006, 0.042, 1.039, 0.805)


def _matched(x: float, y: float, w: float, h: float, geometry: _Geometry) -> tuple[float, float, float, float]:
    cx, cy = x + w * (0.5 + geometry.right), y + h * (0.5 + geometry.down)
    half_width, half_height = w * geometry.width / 2, h * geometry.height / 2
    return cy - half_height, cx + half_width, cy + half_height, cx - half_width
