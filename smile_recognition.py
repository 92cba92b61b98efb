"""Read the smile of a face: the exported network and `predict_smile()`.

    >>> recognizer = SmileRecognizer(Path("models/smile.tflite"))
    >>> recognizer.predict_smile(gray, [Box(top=118, right=386, bottom=304, left=201)])
    array([0.97], dtype=float32)
    >>> recognizer.read(gray, [Box(top=118, right=386, bottom=304, left=201)])
    [Face(id=0, box=Box(...), smile=0.97, raw_smile=0.97, landmarks=((252.2, 175.1), ...), presence=0.999, angle=0.0)]

The file holds the MinMaxScaler, the CNN and the calibration temperature in one LiteRT graph (`training/networks/export.py`).
So exactly what was measured runs here, without TensorFlow, scikit-learn or a pickle.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.errors import ModelError
from common.face import LANDMARKS as LANDMARKS
from common.face import PRESENCE_THRESHOLD as PRESENCE_THRESHOLD
from common.face import SMILE_THRESHOLD as SMILE_THRESHOLD
from common.face import Box, Face, as_points
from common.places import DEFAULT_MODEL

CROP_SIZE = 64
_SMOOTHED_FROM = 2  # bilinear sampling of a box so many times larger than the crop would skip pixels
# In the order of the file's numbers: probabilities, but for x and y of each landmark.
OUTPUTS = {"smile": 1, "presence": 1, "landmarks": 2 * len(LANDMARKS)}
_OUTPUTS = sum(OUTPUTS.values())


def crop_face(gray: np.ndarray, box: Sequence[float], size: int = CROP_SIZE) -> np.ndarray:
    """The one crop geometry of this project, in training and live: exactly the box, squeezed to a square.

    `gray` uint8 `(h, w)`; `box` `(top, right, bottom, left)` in pixels, which may reach past the edge (the border is then
    repeated); returns uint8 `(size, size)`. Raises ValueError for an empty box or picture.
    """
    top, right, bottom, left = (round(float(value)) for value in box)
    height, width = gray.shape
    if right <= left or bottom <= top or not height or not width:
        raise ValueError(f"expected a box with top < bottom and left < right, got {tuple(box)} in {width}x{height}")
    if bottom - top > 16 * height or right - left > 16 * width:
        # The crop is nearly all border. It is shrunk with its picture, because the border of a box this large would fill the
        # memory.
        factor = min(height / (bottom - top), width / (right - left)) * 16
        if min(height, width) * factor < 1:
            return np.full((size, size), gray[0, 0], np.uint8)
        small = cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return crop_face(small, [value * factor for value in (top, right, bottom, left)], size)
    inner = gray[
        min(max(top, 0), height - 1) : max(min(bottom, height), 1),
        min(max(left, 0), width - 1) : max(min(right, width), 1),
    ]
    pads = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(pads):
        # A box far outside could ask for any amount of border. More than a whole box of it means nothing.
        limit_y, limit_x = bottom - top, right - left
        pads = (min(pads[0], limit_y), min(pads[1], limit_y), min(pads[2], limit_x), min(pads[3], limit_x))
        inner = cv2.copyMakeBorder(inner, *pads, cv2.BORDER_REPLICATE)
    shrink = inner.shape[0] > size or inner.shape[1] > size
    return cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def crop_tilted(
    gray: np.ndarray, box: Sequence[float], angle: float, size: int = CROP_SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Like `crop_face`, for a box turned by `angle` degrees clockwise about its centre: a tilted face comes out upright.

    Returns the crop uint8 `(size, size)` and the affine map float64 `(2, 3)` from crop pixels to picture pixels.
    """
    top, right, bottom, left = (float(value) for value in box)
    if right <= left or bottom <= top or not gray.size:
        raise ValueError(f"expected a box with top < bottom and left < right, got {tuple(box)}")
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    scale_x, scale_y = (right - left) / size, (bottom - top) / size
    turn = np.array([[cosine * scale_x, -sine * scale_y], [sine * scale_x, cosine * scale_y]])
    center = np.array([(left + right) / 2, (top + bottom) / 2])
    # Pixel centres stand at half coordinates: crop pixel (i, j) is the point (i + 0.5, j + 0.5) of the crop's square.
    to_picture = np.column_stack([turn, center - 0.5 + turn @ np.full(2, 0.5 - size / 2)])
    # Bilinear sampling skips pixels if the crop is much smaller than the box, so these are smoothed first.
    shrink = min(scale_x, scale_y)
    # Only the part near the box: OpenCV can't warp pictures of more than 32,766 pixels a side.
    reach = math.hypot(right - left, bottom - top) / 2 + 2
    x0, y0 = (max(0, int(value - reach)) for value in center)
    x1, y1 = (max(1, math.ceil(value + reach)) for value in center)
    x0, y0 = min(x0, gray.shape[1] - 1), min(y0, gray.shape[0] - 1)
    source = gray[y0:y1, x0:x1]
    if shrink >= _SMOOTHED_FROM:
        kernel = int(shrink) | 1  # an even kernel would move the picture by half a pixel
        source = cv2.blur(source, (kernel, kernel))
    sampled = to_picture - np.column_stack([np.zeros((2, 2)), (x0, y0)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(source, sampled, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return crop, to_picture


class SmileRecognizer:
    """The exported network, loaded once; safe to call from several threads.

    Raises ModelError when the file is missing, damaged, or not a smile network.
    """

    def __init__(self, path: Path = DEFAULT_MODEL) -> None:
        self._lock = threading.Lock()
        self._interpreter: Any = _load_interpreter(path)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def predict_smile(self, gray: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
        """Calibrated P(smile) of each face.

        `gray` uint8 `(h, w)`; `boxes` n boxes in css order `(top, right, bottom, left)` in pixels, each of which may cover
        the whole picture or reach past its edge; returns float32 `(n,)` in 0 to 1. Raises ValueError for another shape or
        dtype.
        """
        return np.array([face.smile for face in self.read(gray, boxes)], np.float32)

    def read(self, gray: np.ndarray, boxes: Sequence[Sequence[float]], angles: Sequence[float] | None = None) -> list[Face]:
        """What the network sees in each box; `gray` and `boxes` as for `predict_smile`.

        `angles`: n angles, by how many degrees each face and its box lean clockwise in the picture.
        """
        if gray.ndim != 2 or gray.dtype != np.uint8:
            raise ValueError(f"expected gray of dtype uint8 and shape (h, w), got {gray.dtype} {gray.shape}")
        return [self._read(gray, box, angle) for box, angle in zip(boxes, angles or [0.0] * len(boxes), strict=True)]

    def _read(self, gray: np.ndarray, box: Sequence[float], angle: float) -> Face:
        whole = Box(*(round(float(value)) for value in box))
        if angle:
            crop, to_picture = crop_tilted(gray, box, angle)
        else:
            crop = crop_face(gray, box)
        outputs = self._run(crop)
        points = outputs[2:].reshape(-1, 2).astype(float)  # (5, 2), 0 to 1 across the crop
        if angle:
            landmarks = (points * CROP_SIZE - 0.5) @ to_picture[:, :2].T + to_picture[:, 2]
        else:
            landmarks = points * (whole.width, whole.height) + (whole.left - 0.5, whole.top - 0.5)
        smile, presence = float(outputs[0]), float(outputs[1])
        return Face(0, whole, smile, smile, as_points(landmarks), presence, angle)

    def _run(self, crop: np.ndarray) -> np.ndarray:
        with self._lock:
            self._interpreter.set_tensor(self._input, crop[None, :, :, None].astype(np.float32))  # (1, 64, 64, 1)
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._output)[0]


def predict_smile(gray: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """`SmileRecognizer.predict_smile` with the shipped network, loaded at the first call."""
    return _shipped().predict_smile(gray, boxes)


@cache
def _shipped() -> SmileRecognizer:
    return SmileRecognizer()


def _load_interpreter(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"There is no network at {path}; restore it with `git checkout models`, or train one.")
    from ai_edge_litert.interpreter import Interpreter  # here, because a help text should not cost 0.1 s

    damaged = f"{path} is not a smile network that this app can read; restore it with `git checkout models`."
    try:
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelError(damaged) from error
    shapes = [tuple(detail[0]["shape"]) for detail in (interpreter.get_input_details(), interpreter.get_output_details())]
    if shapes != [(1, CROP_SIZE, CROP_SIZE, 1), (1, _OUTPUTS)]:
        raise ModelError(damaged)
    return interpreter
