"""From five landmarks to the box that the face fills, with its place, size and tilt.

    >>> box, angle = align(landmarks)         # (5, 2) pixels
    >>> recognizer.read(gray, [box], [angle])  # the same face, upright and centred

Detectors' boxes differ by some tenths of a face, and never lean with the head. Landmarks say where the face is.
"""

from __future__ import annotations

import math

import numpy as np

from common.face import Box

# Where the landmarks lie in face_recognition's boxes of upright faces, 0 to 1: medians over the training part, from
# `python -m benchmarks.landmark_geometry`.
TYPICAL_LANDMARKS = np.array([[0.281, 0.308], [0.719, 0.308], [0.500, 0.559], [0.312, 0.757], [0.688, 0.757]])


def align(landmarks: np.ndarray) -> tuple[Box, float]:
    """The box before turning, and the face's lean in degrees clockwise, for landmarks `(5, 2)` in pixels."""
    (x, y), side, angle = align_exactly(landmarks)
    half = side / 2
    return Box(round(y - half), round(x + half), round(y + half), round(x - half)), angle


def align_exactly(landmarks: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """Like `align`, in fractions of pixels: the square's centre `(x, y)`, its side, and the lean in degrees.

    They come from the similarity that brings `TYPICAL_LANDMARKS` nearest to the landmarks (least squares, Umeyama 1991).
    """
    points = np.asarray(landmarks, float)
    typical = TYPICAL_LANDMARKS - TYPICAL_LANDMARKS.mean(axis=0)
    found = points - points.mean(axis=0)
    # With complex numbers a similarity is one factor.
    a, b = typical @ [1, 1j], found @ [1, 1j]
    factor = complex((a.conj() @ b) / (a.conj() @ a).real)
    offset = complex((0.5 - TYPICAL_LANDMARKS.mean(axis=0)) @ [1, 1j]) * factor
    # Boxes count from edges, and a pixel's centre is half a pixel from its edge.
    x, y = points.mean(axis=0) + (offset.real, offset.imag) + 0.5
    return (float(x), float(y)), max(abs(factor), 1e-6), math.degrees(math.atan2(factor.imag, factor.real))
