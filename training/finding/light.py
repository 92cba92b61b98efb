"""What light, lens and sensor do to a frame: the second half of making training frames for the finder."""

from __future__ import annotations

import math

import cv2
import numpy as np

_PLAIN = 0.3  # share of frames that stay as they are
_LEAST_CONTRAST = 1.5  # a face can still be seen with this deviation of its grey levels
_LEAST_IN_BLUR = 5.0  # a face's square must be so many deviations of the blur wide


def lit(frame: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The frame uint8 `(h, w)` as a bad camera may see it, and which of `faces` `(k, 13)` are still visible, bool `(k,)`."""
    pixels: np.ndarray = frame.astype(np.float32)
    blur = noise = 0.0
    if rng.random() >= _PLAIN:
        if rng.random() < 0.3:
            pixels, blur = _blurred(pixels, rng)
        pixels = _toned(pixels, faces, rng)
        if rng.random() < 0.2:  # dark, with the noise that the sensor then adds
            pixels *= math.exp(rng.uniform(math.log(0.06), math.log(0.4)))
            noise = rng.uniform(0.3, 2.2)
        elif rng.random() < 0.25:
            noise = rng.uniform(1, 18)
    visible = np.array([_is_visible(pixels, face, blur, noise) for face in faces], bool)
    if noise:
        grain: np.ndarray = rng.standard_normal(pixels.shape, np.float32)
        if rng.random() < 0.2:
            grain = cv2.GaussianBlur(grain, (0, 0), 0.7) * 2
        pixels += noise * grain
    result = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return (_squeezed(result, int(rng.integers(15, 60))) if rng.random() < 0.1 else result), visible


def _is_visible(pixels: np.ndarray, face: np.ndarray, blur: float, noise: float) -> bool:
    """Whether a face is still visible. A large face stands more noise than a small one."""
    x, y, side = face[:3]
    half = side * 0.45
    top, left = max(0, int(y - half)), max(0, int(x - half))
    part = pixels[top : max(top, math.ceil(y + half)), left : max(left, math.ceil(x + half))]
    contrast = float(np.clip(part, 0, 255).std()) if part.size else 0.0
    return contrast >= max(_LEAST_CONTRAST, (0.3 + 5 / max(side, 1.0)) * noise) and side >= _LEAST_IN_BLUR * blur


def _squeezed(frame: np.ndarray, quality: int) -> np.ndarray:
    """The frame as JPEG leaves it."""
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    again = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert again is not None
    return again


def _toned(pixels: np.ndarray, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.12:  # low contrast
        return pixels * rng.uniform(0.15, 0.6) + rng.uniform(0, 120)
    if kind < 0.27:  # too bright
        return pixels * rng.uniform(1.3, 2.6) + rng.uniform(-20, 30)
    if kind < 0.34:  # another curve
        return 255 * (np.clip(pixels, 0, 255) / 255) ** rng.uniform(0.4, 2.5)
    if kind < 0.56:  # light from one side, or a window behind a face
        return pixels * _light(pixels.shape, faces, rng)
    return pixels


def _light(shape: tuple[int, ...], faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Factors float32 `(h, w)`."""
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    if len(faces) and rng.random() < 0.5:
        x, y, side = faces[rng.integers(len(faces)), :3]
        inner, outer = rng.uniform(0.12, 0.5), rng.uniform(1.0, 2.3)
        away = np.hypot(xs - x, ys - y) / max(float(side), 1.0)
        edge = np.clip((away - rng.uniform(0.6, 0.9)) / rng.uniform(0.2, 1.0), 0, 1)
        return (inner + (outer - inner) * edge).astype(np.float32)
    angle, low = rng.uniform(0, 2 * math.pi), rng.uniform(0.05, 0.6)
    along = (xs - shape[1] / 2) * math.cos(angle) + (ys - shape[0] / 2) * math.sin(angle)
    ramp = 1 / (1 + np.exp(-(along - rng.uniform(-40, 40)) / rng.uniform(4, 60)))
    return (low + (rng.uniform(1.0, 1.6) - low) * ramp).astype(np.float32)


def _blurred(pixels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The frame out of focus or moved, and the blur's approximate deviation in pixels."""
    if rng.random() < 0.55:
        sigma = rng.uniform(0.4, 2.6)
        return cv2.GaussianBlur(pixels, (0, 0), sigma), sigma
    length = int(rng.integers(2, 15))
    kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
    angle = rng.uniform(0, math.pi)
    for step in np.linspace(-length / 2, length / 2, 4 * length):
        kernel[round(length + step * math.sin(angle)), round(length + step * math.cos(angle))] = 1
    return cv2.filter2D(pixels, -1, kernel / kernel.sum()), length / 4
