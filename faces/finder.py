"""The finder: a small network that sees all faces of a picture at once, at any angle.

    >>> finder = FaceFinder()
    >>> finder.find(gray, (160, 128))
    [FoundFace(score=0.93, x=297.1, y=211.8, side=185.2, landmarks=array([[252.2, 175.1], ...]))]

The picture is shrunk to fit the given size. That size decides how small a face may be (about 8 of its pixels) and what a
look costs. Each cell of 8x8 pixels says whether a face has its centre there and where exactly, how large it is, and where
eyes, nose and mouth corners are (like CenterNet, Zhou et al. 2019).
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
_SMALLEST = 20.0  # pixels of the input: a face with this side or more is nearly always found
_MOST_ENLARGED = 4.0
_MOST_PIXELS = 2_000_000  # of an input
_LEAST_CONTRAST = 0.5  # deviation of grey levels; below it the lens is covered, which the network never saw in training
_MOST_SIZES = 4  # kept ready; a camera's frames need two
_SAME_FACE = 0.35  # overlap of boxes
_MOST_CELLS = 100  # looked at, the surest ones
_MOST_LOG_SIDE = 6.0
_ONE_LOOK = 1.2  # a second look is at a picture at least so many times larger
_SLACK = 0.1  # of a multiple of `_DEEPEST` that may be cut off
_TOO_SMALL = 0.7  # of the smallest side asked for: smaller faces are left out
SEEN = 0.45  # a face with this score or more is one without further questions; chosen on validation photos
_DOUBTFUL = 0.25  # below it hardly anything is a face


@dataclass(frozen=True)
class FoundFace:
    """One face: `score` 0 to 1; centre `x`, `y` and `side` of its upright square; `landmarks` float `(5, 2)`.

    All in pixels counted from the picture's upper left edge, where the first pixel's centre is (0.5, 0.5).
    """

    score: float
    x: float
    y: float
    side: float
    landmarks: np.ndarray

    @property
    def lean(self) -> float:
        """The face's lean in degrees clockwise, from its eyes and the mouth's place below them."""
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
    """The faces in a network's output, float32 `(h, w, 14)`, in pixels of its input, the surest first."""
    rows, columns = np.nonzero(maps[:, :, 0] >= threshold)
    order = np.argsort(-maps[rows, columns, 0], kind="stable")[:_MOST_CELLS]
    faces: list[FoundFace] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        cell = maps[row, column].astype(float)
        side = CELL * float(np.exp(min(cell[3], _MOST_LOG_SIDE)))
        x, y = CELL * (column + 0.5 + cell[1]), CELL * (row + 0.5 + cell[2])
        landmarks = cell[4:].reshape(5, 2) * side + (x, y)
        face = FoundFace(float(cell[0]), x, y, side, landmarks)
        if all(face.iou(other) < _SAME_FACE for other in faces):
            faces.append(face)
    return faces


def looks(shape: tuple[int, ...], min_face: float) -> list[tuple[int, int]]:
    """The sizes (width, height) at which to look at a picture `(h, w)` for faces of `min_face` pixels and more."""
    height, width = shape[:2]
    whole = WIDTH / max(width, height * WIDTH / HEIGHT)
    scale = min(_SMALLEST / max(min_face, 1), _MOST_ENLARGED, (_MOST_PIXELS / (height * width)) ** 0.5)
    scales = [whole] if scale <= _ONE_LOOK * whole else [whole, scale]
    return [(_rounded(width * value), _rounded(height * value)) for value in scales]


def _rounded(pixels: float) -> int:
    return max(_DEEPEST, _DEEPEST * math.ceil(pixels / _DEEPEST - _SLACK))


def fitted(gray: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """`gray` uint8 `(h, w)` scaled to fit `size` (width, height), with its border repeated to fill it, and the scale."""
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
        """Faces of `gray` uint8 `(h, w)` at the size `size` (width, height; multiples of 32), the surest first."""
        scaled, scale = fitted(gray, size)
        if scaled.std() < _LEAST_CONTRAST:
            return []
        faces = decode(self._run(scaled), threshold)
        return [FoundFace(f.score, f.x / scale, f.y / scale, f.side / scale, f.landmarks / scale) for f in faces]

    def find_all(self, gray: np.ndarray, *, min_face: float = 40, threshold: float = 0.5) -> list[FoundFace]:
        """Faces of `gray` uint8 `(h, w)`, from about `min_face` pixels to larger than the picture, the surest first.

        Looks at the whole picture once, shrunk, and once more at a larger size if `min_face` is too small for that.
        """
        faces: list[FoundFace] = []
        for size in looks(gray.shape, min_face):
            faces += self.find(gray, size, threshold)
        kept: list[FoundFace] = []
        for face in sorted(faces, key=lambda face: -face.score):
            if face.side >= _TOO_SMALL * min_face and all(face.iou(other) < _SAME_FACE for other in kept):
                kept.append(face)
        return kept

    def _run(self, gray: np.ndarray) -> np.ndarray:
        size = gray.shape[1], gray.shape[0]
        with self._lock:
            # One for each size, because changing an interpreter's size takes longer than using it.
            interpreter = self._interpreters.pop(size, None) or _interpreter(self._model, size)
            self._interpreters[size] = interpreter
            if len(self._interpreters) > _MOST_SIZES:
                del self._interpreters[next(iter(self._interpreters))]  # the one unused for longest
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], gray[None, :, :, None].astype(np.float32))
            interpreter.invoke()
            return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def _read(path: Path) -> bytes:
    """The file's bytes, if it is a finder network. Raises ModelError."""
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
    from ai_edge_litert.interpreter import Interpreter  # here, because a help text should not cost 0.1 s

    interpreter = Interpreter(model_content=model, num_threads=1)
    if size is not None and size != (WIDTH, HEIGHT):
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (1, size[1], size[0], 1))
    interpreter.allocate_tensors()
    return interpreter


class FinderDetector:
    """The finder network, trained in this project. It finds faces at any angle, in dim light, near, tiny and cut by the
    border.
    """

    name = "finder"

    def __init__(self, model: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._path = model or DEFAULT_FINDER
        self._finder: FaceFinder | None = None

    def load(self) -> None:
        self._loaded()

    def detect(self, image: np.ndarray, *, min_face: float = 40) -> list[Box]:
        return [candidate.box for candidate in self._seen(image, min_face, SEEN)]

    def candidates(self, image: np.ndarray, *, min_face: float = 40) -> list[Candidate]:
        return self._seen(image, min_face, _DOUBTFUL)

    def _seen(self, image: np.ndarray, min_face: float, threshold: float) -> list[Candidate]:
        if min(image.shape[:2]) < 8:
            return []
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        faces = self._loaded().find_all(gray, min_face=min_face, threshold=threshold)
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
    return Candidate(box, face.lean, face.score)
