"""Read the smile of a face: the exported network and `predict_smile()`.

    >>> recognizer = SmileRecognizer(Path("models/smile.tflite"))
    >>> recognizer.predict_smile(gray, [Box(top=118, right=386, bottom=304, left=201)])
    array([0.97], dtype=float32)

The file holds the MinMaxScaler, the CNN and the calibration temperature in one LiteRT graph (`training/export.py`), so
what runs here is what was measured, without TensorFlow, scikit-learn or a pickle.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from errors import ModelError

CROP_SIZE = 64
SMILE_THRESHOLD = 0.5
DEFAULT_MODEL = Path(__file__).parent / "models" / "smile.tflite"


def crop_face(gray: np.ndarray, box: Sequence[float], size: int = CROP_SIZE) -> np.ndarray:
    """The one crop geometry of this project, in training and live: exactly the box, squeezed to a square.

    `gray` uint8 `(h, w)`; `box` `(top, right, bottom, left)` in pixels, which may reach past the edge (the border is then
    repeated); returns uint8 `(size, size)`. Raises ValueError for an empty box or picture.
    """
    top, right, bottom, left = (round(float(value)) for value in box)
    height, width = gray.shape
    if right <= left or bottom <= top or not height or not width:
        raise ValueError(f"expected a box with top < bottom and left < right, got {tuple(box)} in {width}x{height}")
    inner = gray[
        min(max(top, 0), height - 1) : max(min(bottom, height), 1),
        min(max(left, 0), width - 1) : max(min(right, width), 1),
    ]
    pads = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    if any(pads):
        # A box far outside would ask for a border as large as it likes; a whole box of border is all that means anything.
        limit_y, limit_x = bottom - top, right - left
        pads = (min(pads[0], limit_y), min(pads[1], limit_y), min(pads[2], limit_x), min(pads[3], limit_x))
        inner = cv2.copyMakeBorder(inner, *pads, cv2.BORDER_REPLICATE)
    shrink = inner.shape[0] > size or inner.shape[1] > size
    return cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


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
        if gray.ndim != 2 or gray.dtype != np.uint8:
            raise ValueError(f"expected gray of dtype uint8 and shape (h, w), got {gray.dtype} {gray.shape}")
        crops = [crop_face(gray, box) for box in boxes]  # n of (64, 64)
        smiles = np.empty(len(crops), np.float32)
        with self._lock:
            for i, crop in enumerate(crops):
                self._interpreter.set_tensor(self._input, crop[None, :, :, None].astype(np.float32))  # (1, 64, 64, 1)
                self._interpreter.invoke()
                smiles[i] = self._interpreter.get_tensor(self._output)[0, 0]
        return smiles


def predict_smile(gray: np.ndarray, boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """`SmileRecognizer.predict_smile` with the shipped network, loaded at the first call."""
    return _shipped().predict_smile(gray, boxes)


@cache
def _shipped() -> SmileRecognizer:
    return SmileRecognizer()


def _load_interpreter(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"There is no network at {path}; restore it with `git checkout models`, or train one (README).")
    from ai_edge_litert.interpreter import Interpreter  # not at import: 0.1 s that a help text should not cost

    damaged = f"{path} is not a smile network that this app can read; restore it with `git checkout models`."
    try:
        interpreter = Interpreter(model_content=path.read_bytes(), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelError(damaged) from error
    shapes = [tuple(detail[0]["shape"]) for detail in (interpreter.get_input_details(), interpreter.get_output_details())]
    if shapes != [(1, CROP_SIZE, CROP_SIZE, 1), (1, 1)]:
        raise ModelError(damaged)
    return interpreter
