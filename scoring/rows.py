"""The rows of a table: one for each face, or one that says why a file has none."""

from __future__ import annotations

import math
from typing import Any

from common.face import Face
from smile_recognition import LANDMARKS, SMILE_THRESHOLD

COLUMNS = (
    "file",
    "frame",
    "time_s",
    "face",
    "track",
    *("top", "right", "bottom", "left"),
    "smile",
    "label",
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
    "raw_smile",
    "error",
)


def empty_row(file: str, frame: int, time_s: float | None, error: str | None = None) -> dict[str, Any]:
    """The row of a picture or frame without a face, or of a file that can't be read; None is an empty cell."""
    return dict.fromkeys(COLUMNS) | {"file": file, "frame": frame, "time_s": _rounded(time_s, 3), "error": error}


def face_row(file: str, frame: int, time_s: float | None, number: int, face: Face, *, tracked: bool) -> dict[str, Any]:
    """The row of one face: the `number`-th of its picture or frame, from 1, largest first.

    The box is in pixels, `top` and `left` inside, `bottom` and `right` outside, and may reach past the edge; landmarks are
    `(x, y)` in pixels, whole numbers at pixel centres. `track`, the id over time, only of a face that is `tracked`.
    """
    smile = _rounded(face.smile, 6)
    points = {
        f"{name}_{axis}": _rounded(value, 2)
        for name, point in zip(LANDMARKS, face.landmarks, strict=False)
        for axis, value in zip("xy", point, strict=True)
    }
    return empty_row(file, frame, time_s) | {
        "face": number,
        "track": face.id if tracked else None,
        "top": int(face.box.top),
        "right": int(face.box.right),
        "bottom": int(face.box.bottom),
        "left": int(face.box.left),
        "smile": smile,
        # Of the number as it is written, so that no row contradicts itself.
        "label": "smile" if smile is not None and smile >= SMILE_THRESHOLD else "no_smile",
        **points,
        "raw_smile": _rounded(face.raw_smile, 6),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return round(float(value), digits) if value is not None and math.isfinite(value) else None
