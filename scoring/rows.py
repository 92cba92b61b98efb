"""The rows of a table: one for each face, or one row that says why a file has none."""

from __future__ import annotations

from typing import Any

from common.face import Box, Face, rounded

COLUMNS = ("file", "frame", "time_s", "face", "track", *Face(0, Box(0, 0, 0, 0), 0.0, 0.0).as_row(), "error")


def empty_row(file: str, frame: int, time_s: float | None, error: str | None = None) -> dict[str, Any]:
    """The row of a picture or frame without a face, or of a file that can't be read; None is an empty cell."""
    return dict.fromkeys(COLUMNS) | {"file": file, "frame": frame, "time_s": rounded(time_s, 3), "error": error}


def face_row(file: str, frame: int, time_s: float | None, number: int, face: Face, *, tracked: bool) -> dict[str, Any]:
    """The row of one face, number `number` in its picture or frame, from 1, the largest first.

    The box is in pixels: `top` and `left` are inside, `bottom` and `right` outside, and it may reach past the edge.
    Landmarks are `(x, y)` in pixels, whole numbers at pixel centres. Only a `tracked` face has a `track`, its id over time.
    """
    return empty_row(file, frame, time_s) | {"face": number, "track": face.id if tracked else None} | face.as_row()
