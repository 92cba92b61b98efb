"""From five landmarks to the box that a face of that place, size and tilt fills.

    >>> box, angle = align(landmarks)         # (5, 2) pixels
    >>> recognizer.read(gray, [box], [angle])  # the same face, upright and centred

Boxes that detectors give differ by some tenths of a face, and lean with nobody's head. Landmarks say where the face is.
"""

from __future__ import annotations

import math

import numpy as np

from common.face import Box

# Where the landmarks lie in face_recognition's boxes of upright faces, 0 to 1: medians over the training part, from
# `python -m benchmarks.landmark_geometry`.
TYPICAL_LANDMARKS = np.array([[0.281, 0.308], [0.719, 0.308], [0.500, 0.559], [0.312, 0.757], [0.688, 0.757]])


def align(landmarks: np.ndarray) -> tuple[Box, float]:
    """The box, before turning, and by how many degrees clockwise the face leans, for landmarks `(5, 2)` in pixels."""
    (x, y), side, angle = align_exactly(landmarks)
    half = side / 2
    return Box(round(y - half), round(x + half), round(y + half), round(x - half)), angle


def align_exactly(landmarks: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """As `align`, in fractions of pixels: the square's centre `(x, y)` and its side, and the lean in degrees.

    The similarity that takes `TYPICAL_LANDMARKS` nearest to the landmarks (least squares, Umeyama 1991).
    """
    points = np.asarray(landmarks, float)
    typical = TYPICAL_LANDMARKS - TYPICAL_LANDMARKS.mean(axis=0)
    found = points - points.mean(axis=0)
    # As complex numbers a similarity is one factor.
    a, b = typical @ [1, 1j], found @ [1, 1j]
    factor = complex((a.conj() @ b) / (a.conj() @ a).real)
    offset = complex((0.5 - TYPICAL_LANDMARKS.mean(axis=0)) @ [1, 1j]) * factor
    # A pixel's centre is half a pixel into the picture, where boxes count from edges.
    x, y = points.mean(axis=0) + (offset.real, offset.imag) + 0.5
    return (float(x), float(y)), max(abs(factor), 1e-6), math.degrees(math.atan2(factor.imag, factor.real))
