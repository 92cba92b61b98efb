"""What light, lens and sensor do to a frame: the second half of making training frames for the finder."""

from __future__ import annotations

import math

import cv2
import numpy as np

_LEAST_CONTRAST, _LEAST_OVER_NOISE = 1.3, 0.3  # deviation of a face's grey levels, and that in deviations of the noise


def lit(frame: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The frame uint8 `(h, w)` as a bad camera may see it, and which of `faces` `(k, 13)` it can still see, bool `(k,)`."""
    pixels: np.ndarray = frame.astype(np.float32)
    if rng.random() < 0.12:
        pixels = _blurred(pixels, rng)
    pixels = _toned(pixels, faces, rng)
    noise = 0.0
    if rng.random() < 0.16:  # dark, and what the sensor adds then
        pixels *= math.exp(rng.uniform(math.log(0.04), math.log(0.4)))
        noise = rng.uniform(0.3, 4.0)
    elif rng.random() < 0.25:
        noise = rng.uniform(1, 22)
    if rng.random() < 0.12:
        pixels = _blurred(pixels, rng)
    least = max(_LEAST_CONTRAST, _LEAST_OVER_NOISE * noise)
    visible = np.array([_contrast(pixels, face) >= least for face in faces], bool)
    if noise:
        grain: np.ndarray = rng.standard_normal(pixels.shape, np.float32)
        if rng.random() < 0.3:
            grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * 2
        pixels += noise * grain
    result = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return (_squeezed(result, int(rng.integers(12, 60))) if rng.random() < 0.12 else result), visible


def _squeezed(frame: np.ndarray, quality: int) -> np.ndarray:
    """As JPEG leaves it."""
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert again is not None
    return again


def _contrast(pixels: np.ndarray, face: np.ndarray) -> float:
    x, y, half = face[0], face[1], face[2] * 0.45
    top, left = max(0, int(y - half)), max(0, int(x - half))
    part = pixels[top : max(top, math.ceil(y + half)), left : max(left, math.ceil(x + half))]
    return float(np.clip(part, 0, 255).std()) if part.size else 0.0


def _toned(pixels: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.12:  # low contrast
        return pixels * rng.uniform(0.12, 0.5) + rng.uniform(0, 120)
    if kind < 0.20:  # too bright
        return pixels * rng.uniform(1.3, 2.6) + rng.uniform(-20, 40)
    if kind < 0.30:  # another curve
        return 255 * (np.clip(pixels, 0, 255) / 255) ** rng.uniform(0.4, 2.5)
    if kind < 0.48:  # light from one side, or a window behind a face
        return pixels * _light(pixels.shape, faces, rng)
    return pixels


def _light(shape: tuple[int, ...], faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Factors float32 `(h, w)`."""
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    if len(faces) and rng.random() < 0.5:
        x, y, side = faces[rng.integers(len(faces)), :3]
        inner, outer = rng.uniform(0.08, 0.5), rng.uniform(1.0, 2.5)
        away = np.hypot(xs - x, ys - y) / max(float(side), 1.0)
        edge = np.clip((away - rng.uniform(0.6, 0.9)) / rng.uniform(0.2, 1.0), 0, 1)
        return (inner + (outer - inner) * edge).astype(np.float32)
    angle, low = rng.uniform(0, 2 * math.pi), rng.uniform(0.05, 0.6)
    along = (xs - shape[1] / 2) * math.cos(angle) + (ys - shape[0] / 2) * math.sin(angle)
    ramp = 1 / (1 + np.exp(-(along - rng.uniform(-40, 40)) / rng.uniform(4, 60)))
    return (low + (rng.uniform(1.0, 1.6) - low) * ramp).astype(np.float32)


def _blurred(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moved."""
    if rng.random() < 0.7:
        return cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 2.6))
    length = int(rng.integers(2, 9))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = rng.uniform(0, math.pi)
    for step in np.linspace(-length / 2, length / 2, 4 * length):
        kernel[round(length + step * math.sin(angle)), round(length + step * math.cos(angle))] = 1
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())
