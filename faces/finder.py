"""The finder: a small network that sees all faces of a picture at once, at any angle.

    >>> finder = FaceFinder()
    >>> finder.find(gray, (160, 128))
    [FoundFace(score=0.93, x=297.1, y=211.8, side=185.2, landmarks=array([[252.2, 175.1], ...]))]

The picture is shrunk to fit the size given, which decides how small a face may be (about 8 of its pixels) and what a look
costs. Each cell of 8x8 pixels says whether a face has its centre there, and where exactly, how large it is, and where eyes,
nose and mouth corners are (as CenterNet does, Zhou et al. 2019).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.errors import DetectorError, ModelError
from common.face import Box
from common.places import DEFAULT_FINDER
from faces.detection import Candidate

WIDTH, HEIGHT = 160, 128  # of the frames that the network was trained on
CELL = 8
CHANNELS = 14  # score; centre x, y from the middle of its cell, in cells; log of side in cells; landmarks x, y in sides
_DEEPEST = 32  # pixels of one cell of the coarsest layer: widths and heights are multiples of it
_SMALLEST = 20.0  # side in pixels of the input from which on a face is found nearly always
_MOST_ENLARGED = 4.0
_MOST_PIXELS = 2_000_000  # of an input
_LEAST_CONTRAST = 0.5  # deviation of grey levels: a covered lens shows nobody, and the network never saw one
_MOST_SIZES = 4  # kept ready; a camera's frames need two
_SAME_FACE = 0.35  # overlap of boxes


@dataclass(frozen=True)
class FoundFace:
    """One face: `score` 0 to 1; centre `x`, `y` and `side` of its upright square, and `landmarks` float `(5, 2)`.

    All in pixels counted from the picture's upper left edge, where the first pixel's centre is (0.5, 0.5).
    """

    score: float
    x: float
    y: float
    side: float
    landmarks: np.ndarray

    @property
    def lean(self) -> float:
        """Degrees clockwise by which the face leans: how its eyes lie, and how its mouth lies to them."""
        left, right, _, mouth_left, mouth_right = self.landmarks @ [1, 1j]
        across, down = right - left, (mouth_left + mouth_right - left - right) / 2
        return float(np.degrees(np.angle(across - 1j * down)))

    def iou(self, other: FoundFace) -> float:
        """Overlap of the two squares, 0 to 1."""
        half, other_half = self.side / 2, other.side / 2
        wide = min(self.x + half, other.x + other_half) - max(self.x - half, other.x - other_half)
        high = min(self.y + half, other.y + other_half) - max(self.y - half, other.y - other_half)
        if wide <= 0 or high <= 0:
            return 0.0
        return wide * high / (self.side**2 + other.side**2 - wide * high)


def decode(maps: np.ndarray, threshold: float) -> list[FoundFace]:
    """The faces in a network's output float32 `(h, w, 14)`, in pixels of its input, surest first."""
    rows, columns = np.nonzero(maps[:, :, 0] >= threshold)
    order = np.argsort(-maps[rows, columns, 0], kind="stable")[:100]
    faces: list[FoundFace] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        cell = maps[row, column].astype(float)
        side = CELL * float(np.exp(min(cell[3], 6.0)))
        x, y = CELL * (column + 0.5 + cell[1]), CELL * (row + 0.5 + cell[2])
        landmarks = cell[4:].reshape(5, 2) * side + (x, y)
        face = FoundFace(float(cell[0]), x, y, side, landmarks)
        if all(face.iou(other) < _SAME_FACE for other in faces):
            faces.append(face)
    return faces


def looks(shape: tuple[int, ...], min_face: float) -> list[tuple[int, int]]:
    """The sizes (width, height) in which to look at a picture `(h, w)` for faces of `min_face` pixels and more."""
    height, width = shape[:2]
    whole = WIDTH / max(width, height * WIDTH / HEIGHT)
    scale = min(_SMALLEST / max(min_face, 1), _MOST_ENLARGED, (_MOST_PIXELS / (height * width)) ** 0.5)
    scales = [whole] if scale <= 1.2 * whole else [whole, scale]
    return [(_rounded(width * value), _rounded(height * value)) for value in scales]


def _rounded(pixels: float) -> int:
    return max(_DEEPEST, _DEEPEST * math.ceil(pixels / _DEEPEST - 0.1))


def fitted(gray: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """`gray` uint8 `(h, w)` scaled to fit `size` (width, height), with its border repeated to fill that, and the scale."""
    width, height = size
    scale = min(width / gray.shape[1], height / gray.shape[0])
    inner = max(1, min(width, round(gray.shape[1] * scale))), max(1, min(height, round(gray.shape[0] * scale)))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(gray, inner, interpolation=kind)
    right, below = width - inner[0], height - inner[1]
    return cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_REPLICATE), scale


class FaceFinder:
    """The exported network, loaded once; safe to call from several threads.

    Raises ModelError when the file is missing, damaged, or something else.
    """

    def __init__(self, path: Path = DEFAULT_FINDER) -> None:
        self._lock = threading.Lock()
        self._model = _read(path)
        self._interpreters = {(WIDTH, HEIGHT): _interpreter(self._model)}

    def find(self, gray: np.ndarray, size: tuple[int, int] = (WIDTH, HEIGHT), threshold: float = 0.5) -> list[FoundFace]:
        """Faces of `gray` uint8 `(h, w)`, looked at in `size` (width, height; multiples of 32), surest first."""
        scaled, scale = fitted(gray, size)
        if scaled.std() < _LEAST_CONTRAST:
            return []
        faces = decode(self._run(scaled), threshold)
        return [FoundFace(f.score, f.x / scale, f.y / scale, f.side / scale, f.landmarks / scale) for f in faces]

    def find_all(self, gray: np.ndarray, *, min_face: float = 40, threshold: float = 0.5) -> list[FoundFace]:
        """Faces from about `min_face` pixels up to larger than the picture `gray` uint8 `(h, w)`, surest first.

        Looks once at the whole in little, and once more from nearer if `min_face` is too small for that.
        """
        faces: list[FoundFace] = []
        for size in looks(gray.shape, min_face):
            faces += self.find(gray, size, threshold)
        kept: list[FoundFace] = []
        for face in sorted(faces, key=lambda face: -face.score):
            if face.side >= 0.7 * min_face and all(face.iou(other) < _SAME_FACE for other in kept):
                kept.append(face)
        return kept

    def _run(self, gray: np.ndarray) -> np.ndarray:
        size = gray.shape[1], gray.shape[0]
        with self._lock:
            # One for each size: to change an interpreter's size takes longer than to use it.
            interpreter = self._interpreters.pop(size, None) or _interpreter(self._model, size)
            self._interpreters[size] = interpreter
            if len(self._interpreters) > _MOST_SIZES:
                del self._interpreters[next(iter(self._interpreters))]  # the one that was not used for longest
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], gray[None, :, :, None].astype(np.float32))
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def _read(path: Path) -> bytes:
    """The file, once it is known to be a finder network. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"There is no finder network at {path}; restore it with `git checkout models`.")
    damaged = f"{path} is not a finder network that this app can read; restore it with `git checkout models`."
    try:
        model = path.read_bytes()
        interpreter = _interpreter(model)
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelError(damaged) from error
    shapes = [tuple(detail[0]["shape"]) for detail in (interpreter.get_input_details(), interpreter.get_output_details())]
    if shapes != [(1, HEIGHT, WIDTH, 1), (1, HEIGHT // CELL, WIDTH // CELL, CHANNELS)]:
        raise ModelError(damaged)
    return model


def _interpreter(model: bytes, size: tuple[int, int] | None = None) -> Any:
    from ai_edge_litert.interpreter import Interpreter  # not at import: 0.1 s that a help text should not cost

    interpreter = Interpreter(model_content=model, num_threads=1)
    if size is not None and size != (WIDTH, HEIGHT):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, size[1], size[0], 1))
    interpreter.allocate_tensors()
    return interpreter


class FinderDetector:
    """The finder network, trained in this project: faces at any angle, in dim light, near, tiny and cut by the border."""

    name = "finder"

    def __init__(self, model: Path | None = None, *, threshold: float = 0.45) -> None:
        self._lock = threading.Lock()
        self._path = model or DEFAULT_FINDER
        self._threshold = threshold
        self._finder: FaceFinder | None = None

    def load(self) -> None:
        self._loaded()

    def detect(self, image: np.ndarray, *, min_face: float = 40) -> list[Box]:
        return [candidate.box for candidate in self.candidates(image, min_face=min_face)]

    def candidates(self, image: np.ndarray, *, min_face: float = 40) -> list[Candidate]:
        if min(image.shape[:2]) < 8:
            return []
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        faces = self._loaded().find_all(gray, min_face=min_face, threshold=self._threshold)
        found = [_leaning(face) for face in faces]
        return sorted(found, key=lambda candidate: -candidate.box.area)

    def _loaded(self) -> FaceFinder:
        with self._lock:
            if self._finder is None:
                try:
                    self._finder = FaceFinder(self._path)
                except ModelError as error:
                    raise DetectorError(str(error)) from error
            return self._finder


def _leaning(face: FoundFace) -> Candidate:
    half = face.side / 2
    box = Box(round(face.y - half), round(face.x + half), round(face.y + half), round(face.x - half))
    return Candidate(box, face.lean)
