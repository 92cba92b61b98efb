"""A face: its box, its smile and its landmarks. Pictures, streams, visitors and tables all share this record.

A new output of the network becomes a field here, with what JSON and tables say of it. It is filled where
`smile_recognition` reads the network, and travels from there: trackers and photos only replace what they know better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SMILE_THRESHOLD = 0.5
PRESENCE_THRESHOLD = 0.9  # against 0.5: hardly fewer faces, a third of the backgrounds (benchmarks.reading_choices)
# A face is followed until the network is rather sure that it is gone. A new face counts only if the network is very sure.
_STILL_THERE = 0.5
# "left" is the image's left: the order of `landmarks` everywhere.
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
_RATIO = {"type": "number", "minimum": 0, "maximum": 1}
# What the API's description says of the fields of `Face.as_json`.
FIELDS: dict[str, dict[str, Any]] = {
    "smile": _RATIO
    | {"description": "Probability of a smile; in a stream smoothed over time and counted from where the face rests."},
    "raw_smile": _RATIO | {"description": "The same for this picture alone."},
    "label": {"enum": ["smile", "no_smile"], "description": "`smile` from 0.5 on."},
    "neutral": _RATIO | {"type": ["number", "null"], "description": "Where the face rests; null for a single picture."},
}


class Box(NamedTuple):
    """A face's place in pixels, in face_recognition's css order."""

    top: int
    right: int
    bottom: int
    left: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def area(self) -> int:
        return max(0, self.width) * max(0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        """`(x, y)` in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def shifted(self, dx: int, dy: int) -> Box:
        return Box(self.top + dy, self.right + dx, self.bottom + dy, self.left + dx)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1."""
        inner = Box(
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
        )
        if inner.width <= 0 or inner.height <= 0:
            return 0.0
        return inner.area / (self.area + other.area - inner.area)


@dataclass(frozen=True)
class Face:
    """One face in one picture.

    `id`: its number among the faces of a picture, or over time; 0 before it has one.
    `box`: where it is, before it leans by `angle` degrees clockwise.
    `smile`: P(smile), smoothed over time if the face is followed; `raw_smile`: of this picture alone.
    `neutral`: P(smile), as `smile` counts it, at which a followed face rests; None in a single picture.
    `presence`: P(there is a face).
    `landmarks`: five `(x, y)` in pixels of the picture (whole numbers are pixel centres), in the order of `LANDMARKS`.
    """

    id: int
    box: Box
    smile: float
    raw_smile: float
    landmarks: tuple[tuple[float, float], ...] = ()
    presence: float = 1.0
    angle: float = 0.0
    neutral: float | None = None

    @property
    def label(self) -> str:
        return "smile" if self.smile >= SMILE_THRESHOLD else "no_smile"

    @property
    def present(self) -> bool:
        """Whether a face that was there before still is."""
        return self.presence >= _STILL_THERE

    @property
    def points(self) -> np.ndarray:
        """The landmarks as float64 `(5, 2)`."""
        return np.array(self.landmarks, float).reshape(-1, 2)

    def as_json(self) -> dict[str, Any]:
        """What the page gets for every face, many times a second."""
        return {
            "id": self.id,
            "box": self.box._asdict(),
            "smile": round(self.smile, 4),
            "raw_smile": round(self.raw_smile, 4),
            "label": self.label,
            "neutral": None if self.neutral is None else round(self.neutral, 4),
        }

    def as_row(self) -> dict[str, Any]:
        """What a table says of every face, in the order of its columns; None is an empty cell."""
        smile = rounded(self.smile, 6)
        points = {
            f"{name}_{axis}": rounded(value, 2)
            for name, point in zip(LANDMARKS, self.landmarks or (5 * [(None, None)]), strict=True)
            for axis, value in zip("xy", point, strict=True)
        }
        return {
            **{side: int(value) for side, value in self.box._asdict().items()},
            "smile": smile,
            # From the number as it is written, so that no row contradicts itself.
            "label": "smile" if smile is not None and smile >= SMILE_THRESHOLD else "no_smile",
            **points,
            "raw_smile": rounded(self.raw_smile, 6),
        }

    def as_full_json(self) -> dict[str, Any]:
        """What the API gives for every face."""
        points = {name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, self.landmarks, strict=True)}
        return self.as_json() | {"landmarks": points}


def rounded(value: float | None, digits: int) -> float | None:
    """For a table; None for what is no number."""
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def as_points(landmarks: np.ndarray) -> tuple[tuple[float, float], ...]:
    """`(5, 2)` -> five `(x, y)`."""
    return tuple((float(x), float(y)) for x, y in landmarks)
