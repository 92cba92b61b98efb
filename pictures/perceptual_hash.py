"""One number for what a picture shows, to find copies: in a burst of photos, and among gathered pictures."""

from __future__ import annotations

import cv2
import numpy as np


def perceptual_hash(gray: np.ndarray) -> int:
    """The 64-bit pHash of a picture, uint8 `(h, w)` (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash
    Functions").

    The picture is shrunk to 32x32, which hides compression, size and small marks. Each bit says whether one of the 64
    slowest waves of its cosine transform is stronger than their median. Copies differ in a few bits, other pictures in about
    32.
    """
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(small)[:8, :8].ravel()
    bits = waves > np.median(waves[1:])  # the first is the mean brightness
    return int.from_bytes(np.packbits(bits).tobytes())
