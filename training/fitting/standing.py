"""How good a network that has just been trained is, as its file says it."""

from __future__ import annotations

import math

import numpy as np

from common.judged import Judged
from training.data.faces import Faces


def wilson_interval(right: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of the share `right / n` (Wilson 1927), 0 to 1, for n independent tries, n > 0."""
    share = right / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return center - half, center + half


def judged_by(how: str, real: Faces, smile: np.ndarray, presence: np.ndarray) -> Judged:
    """The record of a network from its logits `(n,)`, or anything with their signs, for n faces, n > 0.

    Some of them have a smile label.
    """
    shares, lows, counts = [], [], []
    for label in (1, 0):
        right = (smile[real.smile == label] > 0) == bool(label)
        counts.append(len(right))
        if len(right):
            shares.append(float(right.mean()))
            lows.append(wilson_interval(int(right.sum()), len(right))[0])
    found = float((presence > 0).mean())
    return Judged(how, len(real), found, counts[0], counts[1], float(np.mean(shares or [0])), float(np.mean(lows or [0])))
