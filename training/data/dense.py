"""What MediaPipe's Face Landmarker sees in a dataset's faces: dense points, and what brows, eyes, jaw and mouth do.

Its two networks are read from the `.task` file (a zip of LiteRT files, Apache 2.0) as MediaPipe 0.10 reads them: a square
1.5 times the extent of the points, turned upright, 256x256 RGB in 0 to 1; 146 of the 478 points go on to the blendshapes.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from common.errors import DatasetError
from training.data.faces import WIDE_BOX, WIDE_SIZE, Faces, load_rows, save_arrays

# The points that the blendshapes are read from (`kLandmarksSubsetIdxs` of MediaPipe's face_blendshapes_graph.cc).
# fmt: off
POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82,
    84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157,
    158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270,
    276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334,
    336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398,
    400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])
# fmt: on
# Points that lie opposite each other, as in the mean of 12,000 faces; those that are not here lie in the middle.
# fmt: off
_OPPOSITE = {
    7: 249, 21: 251, 33: 263, 37: 267, 39: 269, 40: 270, 46: 276, 52: 282, 53: 283, 54: 284, 55: 285, 58: 288, 61: 291,
    63: 293, 65: 295, 66: 296, 67: 297, 70: 300, 78: 308, 80: 310, 81: 311, 82: 312, 84: 314, 87: 317, 88: 318, 91: 321,
    93: 323, 95: 324, 103: 332, 105: 334, 107: 336, 109: 338, 127: 356, 132: 361, 133: 362, 136: 365, 144: 373, 145: 374,
    146: 375, 148: 377, 149: 378, 150: 379, 153: 380, 154: 381, 155: 382, 157: 384, 158: 385, 159: 386, 160: 387, 161: 388,
    162: 389, 163: 390, 172: 397, 173: 398, 176: 400, 178: 402, 181: 405, 185: 409, 191: 415, 234: 454, 246: 466, 468: 473,
    469: 476, 470: 475, 471: 474, 472: 477,
}
# fmt: on
# ARKit's blendshapes in the order of `kBlendshapeNames` of the same file; "Left" is the person's own.
# fmt: off
SHAPES = (
    "neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# fmt: on
_OPPOSITE |= {other: point for point, other in _OPPOSITE.items()}
_OTHER_SIDE = {"Left": "Right", "Right": "Left"}
# Which point and which blendshape each one becomes in a mirrored picture: int `(146,)` and `(52,)`.
MIRRORED_POINTS = np.searchsorted(POINTS, [_OPPOSITE.get(point, point) for point in POINTS.tolist()])
MIRRORED_SHAPES = np.array([SHAPES.index(re.sub("Left|Right", lambda side: _OTHER_SIDE[side[0]], name)) for name in SHAPES])
_SIZE = 256  # pixels that the teacher reads
_ALL_POINTS = 478
_REACH = 1.5  # of the square's side over the points' extent
_FIRST_SIDE = 1.75  # of the first square's side over the box's: what `_REACH` makes of most faces' points
_SETTLED = 0.08  # of the square's side: nearer squares show the same
_MOST_LOOKS = 3
_SEEN = 0.5  # P(face) from which on points count, as in MediaPipe's own options


@dataclass(frozen=True)
class Dense:
    """Of n faces: `points` float16 `(n, 146, 2)`, x and y, 0 to 1 across the box; `shapes` float16 `(n, 52)`, 0 to 1, in the
    order of `SHAPES`. NaN where the teacher sees no face. `source` and `name` str `(n,)` say whose.
    """

    points: np.ndarray
    shapes: np.ndarray
    source: np.ndarray
    name: np.ndarray

    @property
    def smiles(self) -> np.ndarray:
        """How far the mouth's corners are drawn up, float `(n,)`, 0 to 1; NaN where the teacher sees no face."""
        corners = [SHAPES.index("mouthSmileLeft"), SHAPES.index("mouthSmileRight")]
        return self.shapes[:, corners].astype(float).mean(axis=1)

    def where(self, chosen: np.ndarray) -> Dense:
        """Of the faces `chosen`, bool `(n,)`."""
        return Dense(self.points[chosen], self.shapes[chosen], self.source[chosen], self.name[chosen])

    def of(self, faces: Faces) -> Dense:
        """Of `faces`, in their order; NaN for those it says nothing of."""
        row = {key: i for i, key in enumerate(zip(self.source.tolist(), self.name.tolist(), strict=True))}
        rows = np.array([row.get(key, -1) for key in zip(faces.source.tolist(), faces.name.tolist(), strict=True)], int)
        known = rows >= 0
        points, shapes = (np.full((len(rows), *said.shape[1:]), np.nan, said.dtype) for said in (self.points, self.shapes))
        points[known], shapes[known] = self.points[rows[known]], self.shapes[rows[known]]
        return Dense(points, shapes, faces.source, faces.name)

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> Dense:
        """What several files say together. Raises DatasetError."""
        parts = [cls.load(path) for path in paths]
        return cls(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in cls.__dataclass_fields__})

    def save(self, path: Path) -> None:
        save_arrays(path, {"points": self.points, "shapes": self.shapes, "source": self.source, "name": self.name})

    @classmethod
    def load(cls, path: Path) -> Dense:
        """Raises DatasetError for a file that `python -m training.dense` did not write."""
        try:
            return cls(**load_rows(path, {"points": (len(POINTS), 2), "shapes": (len(SHAPES),), "source": (), "name": ()}))
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} has no dense points; make it with `python -m training.dense`.") from error


class FaceLandmarker:
    """The teacher. Raises DatasetError for a file that is not MediaPipe's `face_landmarker.task`."""

    def __init__(self, task: Path) -> None:
        try:
            with zipfile.ZipFile(task) as archive:
                read = archive.read
                self._points = _network(read("face_landmarks_detector.tflite"), (1, _SIZE, _SIZE, 3), 3 * _ALL_POINTS)
                self._shapes = _network(read("face_blendshapes.tflite"), (1, len(POINTS), 2), len(SHAPES))
        except (OSError, KeyError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            raise DatasetError(
                f"{task} is not MediaPipe's face_landmarker.task; download it from MediaPipe's model page."
            ) from error

    def read(self, wide: np.ndarray, box_points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Dense points `(146, 2)` and blendshapes `(52,)` of a wide crop uint8 `(128, 128)`, or None if it sees no face.

        `box_points` `(2, 2)`: about where the two eyes are, x and y, 0 to 1 across the box, the picture's left one first.
        """
        margin = (WIDE_SIZE - WIDE_BOX) / 2
        angle = np.arctan2(*(box_points[1] - box_points[0])[::-1])
        centre, side = np.full(2, WIDE_SIZE / 2), _FIRST_SIDE * WIDE_BOX
        for _ in range(_MOST_LOOKS):
            points, seen = self._look(wide, centre, side, angle)
            if seen < _SEEN:
                return None
            was = (centre, side)
            centre, side, angle = _square(points)
            if np.abs(np.append(centre - was[0], side - was[1])).max() < _SETTLED * side:
                break
        chosen = points[POINTS]
        return (chosen - margin) / WIDE_BOX, self._shapes(chosen[None].astype(np.float32))[0].ravel()

    def _look(self, wide: np.ndarray, centre: np.ndarray, side: float, angle: float) -> tuple[np.ndarray, float]:
        """The points `(478, 2)` in pixels of `wide`, and P(face), looked for in a square with `angle` in radians."""
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * side / _SIZE
        to_wide = np.column_stack([turn, centre - turn @ np.full(2, (_SIZE - 1) / 2)])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(wide, to_wide, (_SIZE, _SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        rgb = np.repeat(crop[None, :, :, None].astype(np.float32) / 255, 3, axis=3)
        flat, logit = self._points(rgb)[:2]
        points = flat.reshape(_ALL_POINTS, 3)[:, :2].astype(np.float64)
        return points @ turn.T + to_wide[:, 2], float(1 / (1 + np.exp(-logit.ravel()[0])))


def _square(points: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Centre, side and angle of the square that MediaPipe looks at next: outer eye corners level, all 478 points within."""
    across = points[263] - points[33]
    angle = float(np.arctan2(across[1], across[0]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    upright = points @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    return turn.T @ ((low + high) / 2), float(_REACH * (high - low).max()), angle


def _network(data: bytes, entry_shape: tuple[int, ...], first_exit: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Runs a LiteRT file. Raises ValueError for one that takes another shape, or whose first output has other numbers."""
    from ai_edge_litert.interpreter import Interpreter  # here: only this teacher needs it, and it takes its time

    interpreter: Any = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    entries, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if tuple(entries[0]["shape"]) != entry_shape or np.prod(outputs[0]["shape"]) != first_exit:
        raise ValueError(f"the network reads {entries[0]['shape']} and answers {outputs[0]['shape']}")
    entry, exits = entries[0]["index"], [output["index"] for output in outputs]

    def run(x: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(entry, x)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in exits]

    return run
