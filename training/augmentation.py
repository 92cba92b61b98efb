"""What a webcam does to a face, done to training crops: shift, scale, tilt, blur, dimness, noise, JPEG, hands and hair."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


def augment(gray: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One crop uint8 `(h, w)` -> another, uint8 `(h, w)`, that shows the same smile."""
    size = gray.shape[0]
    if rng.random() < 0.5:
        gray = gray[:, ::-1]
    gray = _move(gray, rng, size)
    if rng.random() < 0.15:  # a small or far face: fewer real pixels
        small = int(rng.integers(24, 48))
        gray = cv2.resize(cv2.resize(gray, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    if rng.random() < 0.15:
        gray = cv2.GaussianBlur(gray, (0, 0), float(rng.uniform(0.5, 1.8)))
    picture: Any = gray.astype(np.float32)
    if rng.random() < 0.3:  # light from one side
        ramp = np.linspace(-1, 1, size, dtype=np.float32) * float(rng.uniform(-0.5, 0.5))
        picture *= 1 + (ramp[None] if rng.random() < 0.5 else ramp[:, None])
    if rng.random() < 0.7:
        gain, gamma = rng.uniform(0.45, 1.25), rng.uniform(0.6, 1.6)
        picture = 255 * (np.clip(picture, 0, 255) / 255) ** gamma * gain + rng.uniform(-20, 20)
    if rng.random() < 0.3:
        picture += rng.normal(0, rng.uniform(2, 12), picture.shape)
    gray = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))]
        gray = cv2.imdecode(cv2.imencode(".jpg", gray, quality)[1], cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
    if rng.random() < 0.1:  # something before the face, small enough that the mouth can still be read
        h, w = rng.integers(size // 8, size // 4, 2)
        y, x = rng.integers(0, size - h), rng.integers(0, size - w)
        gray[y : y + h, x : x + w] = rng.integers(0, 256)
    return gray


def _move(gray: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    angle = float(np.clip(rng.normal(0, 10), -35, 35))
    matrix: Any = cv2.getRotationMatrix2D((size / 2 - 0.5, size / 2 - 0.5), angle, float(rng.uniform(0.82, 1.2)))
    matrix[:, 2] += rng.uniform(-0.09, 0.09, 2) * size
    matrix[0, :2] *= rng.uniform(0.93, 1.07)
    return cv2.warpAffine(gray, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
