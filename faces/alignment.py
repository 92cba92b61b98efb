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
# As complex numbers, in which a similarity is one factor: where they lie about their mean, and the middle from there.
_TYPICAL = (TYPICAL_LANDMARKS - TYPICAL_LANDMARKS.mean(axis=0)) @ [1, 1j]
_FIT = _TYPICAL.conj() / np.vdot(_TYPICAL, _TYPICAL).real
_MIDDLE = complex((0.5 - TYPICAL_LANDMARKS.mean(axis=0)) @ [1, 1j])


def align(landmarks: np.ndarray) -> tuple[Box, float]:
    """The box before turning, and the face's lean in degrees clockwise, for landmarks `(5, 2)` in pixels."""
    (x, y), side, angle = align_exactly(landmarks)
    half = side / 2
    return Box(round(y - half), round(x + half), round(y + half), round(x - half)), angle


def align_exactly(landmarks: np.ndarray) -> tuple[tuple[float, float], float, float]:
    """Like `align`, in fractions of pixels: the square's centre `(x, y)`, its side, and the lean in degrees.

    They come from the similarity that brings `TYPICAL_LANDMARKS` nearest to the landmarks (least squares, Umeyama 1991).
    """
    points = np.ascontiguousarray(landmarks, float).view(complex)[:, 0]
    middle = complex(points.sum()) / len(points)
    factor = complex(_FIT @ (points - middle))
    # Boxes count from edges, and a pixel's centre is half a pixel from its edge.
    center = middle + _MIDDLE * factor + 0.5 + 0.5j
    return (center.real, center.imag), max(abs(factor), 1e-6), math.degrees(math.atan2(factor.imag, factor.real))
