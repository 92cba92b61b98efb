"""A face: its box, its smile and its landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from smile_recognition import LANDMARKS, SMILE_THRESHOLD


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
    """One face. `smile`: P(smile), lightly smoothed over time; `raw_smile`: P(smile) of this frame alone.

    `landmarks`: five `(x, y)` in pixels of the picture, in the order of `smile_recognition.LANDMARKS`.
    """

    id: int
    box: Box
    smile: float
    raw_smile: float
    landmarks: tuple[tuple[float, float], ...] = ()

    @property
    def label(self) -> str:
        return "smile" if self.smile >= SMILE_THRESHOLD else "no_smile"

    def as_json(self) -> dict[str, Any]:
        """What the page and the API get for every face."""
        return {
            "id": self.id,
            "box": self.box._asdict(),
            "smile": round(self.smile, 4),
            "raw_smile": round(self.raw_smile, 4),
            "label": self.label,
        }


def as_points(landmarks: np.ndarray) -> tuple[tuple[float, float], ...]:
    """`(5, 2)` -> five `(x, y)`."""
    return tuple((float(x), float(y)) for x, y in landmarks)


def _as_json(face: Face) -> dict[str, Any]:
    points = {name: [round(x, 1), round(y, 1)] for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True)}
    return face.as_json() | {"landmarks": points}
