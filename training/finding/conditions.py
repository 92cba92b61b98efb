"""Hard conditions for finding a face: photos of one face each, set into frames, mostly of 640x480."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from common.face import Box

WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Probe:
    """A frame uint8 BGR, and the place of its one face."""

    frame: np.ndarray
    truth: Box


@dataclass(frozen=True)
class Placed:
    """How a photo is set into a frame of `size`: its height there, its corner (None: in the middle), and degrees clockwise.

    `side`: instead of the photo, the face is in the middle, and so many pixels wide.
    """

    height: float = 0.0
    corner: tuple[float, float] | None = None
    lean: float = 0.0
    size: tuple[int, int] = (WIDTH, HEIGHT)
    side: float | None = None

    def matrix(self, shape: tuple[int, ...], face: np.ndarray) -> np.ndarray:
        """The map from photo to frame, float64 `(2, 3)`, both counted from the edge."""
        if self.side:
            scale = self.side / face[2]
            return np.array([[scale, 0, self.size[0] / 2 - scale * face[0]], [0, scale, self.size[1] / 2 - scale * face[1]]])
        scale = self.height / shape[0]
        x, y = self.corner or ((WIDTH - shape[1] * scale) / 2, (HEIGHT - self.height) / 2)
        placed = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
        turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), -self.lean, 1)
        return turn @ placed


Effect = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _as_it_is(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return frame


def _noisy(sigma: float, light: float = 1.0) -> Effect:
    return lambda frame, rng: _clipped(frame * light + rng.normal(0, sigma, frame.shape))


def _blurred(sigma: float) -> Effect:
    return lambda frame, rng: cv2.GaussianBlur(frame, (0, 0), sigma)


def _moved(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return cv2.filter2D(frame, -1, np.full((1, 31), 1 / 31, np.float32))


def _backlit(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark face in front of a bright window."""
    height, width = frame.shape[:2]
    ys, xs = np.ogrid[:height, :width]
    away = np.hypot((xs - width / 2) / 150, (ys - height / 2) / 190) * HEIGHT / height
    window = np.clip((away - 1) / 0.3, 0, 1)[..., None]
    return _clipped(frame * (0.2 + 1.6 * window) + 60 * window + rng.normal(0, 3, frame.shape))


def _overexposed(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _clipped(frame * 2.2)


def _pale(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _clipped(frame * 0.2 + 150 + rng.normal(0, 2, frame.shape))


def _half_lit(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _clipped(frame * (0.12 + 0.88 / (1 + np.exp(-(np.arange(WIDTH) - WIDTH / 2) / 25)))[None, :, None])


CONDITIONS: dict[str, tuple[Placed, Effect]] = {
    "plain": (Placed(460), _as_it_is),
    "small, photo 130 px high": (Placed(130), _as_it_is),
    "tiny, photo 80 px high": (Placed(80), _as_it_is),
    "near: the face fills the frame": (Placed(1000), _as_it_is),
    "corner: cut by the border": (Placed(300, (-60, 240)), _as_it_is),
    "tilt 30": (Placed(440, lean=-30), _as_it_is),
    "tilt 60": (Placed(440, lean=-60), _as_it_is),
    "side, 90 degrees": (Placed(440, lean=-90), _as_it_is),
    "upside down": (Placed(440, lean=180), _as_it_is),
    "dark: an eighth of the light": (Placed(460), _noisy(4, 0.12)),
    "blur, sigma 6": (Placed(460), _blurred(6)),
    "noise, sigma 35": (Placed(300), _noisy(35)),
    "motion, 31 px": (Placed(300), _moved),
    "backlit": (Placed(460), _backlit),
    "lit from one side": (Placed(460), _half_lit),
    "overexposed": (Placed(460), _overexposed),
    "low contrast": (Placed(460), _pale),
    "studio: the face fills a picture of 360x360": (Placed(size=(360, 360), side=320), _as_it_is),
    "whole pictures of 64x64, face 24 px, backlit": (Placed(size=(64, 64), side=24), _backlit),
}


def make_probe(photo: np.ndarray, face: np.ndarray, condition: str, rng: np.random.Generator) -> Probe:
    """`photo` uint8 BGR in one of `CONDITIONS` in front of clouds. Its face is `(x, y, side)`, counted from the edge."""
    placed, effect = CONDITIONS[condition]
    matrix = placed.matrix(photo.shape, face)
    shrink = math.hypot(*matrix[:, 0])
    (x, y), half = matrix @ (*face[:2], 1), face[2] * math.sqrt(np.linalg.det(matrix[:, :2])) / 2
    if shrink < 1:  # smooths pixels that bilinear sampling would skip
        small = cv2.resize(photo, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([photo.shape[1] / small.shape[1], photo.shape[0] / small.shape[0], 1])
        photo = small
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV counts from pixel centres
    size = placed.size
    moved = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full(photo.shape[:2], 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    frame = np.where(inside[..., None] > 0, moved, _clouds(rng, size))
    return Probe(effect(frame, rng), Box(round(y - half), round(x + half), round(y + half), round(x - half)))


def _clouds(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    clouds = np.full((height, width, 3), 120, np.float32)
    for cell in (8, 32, 128):
        grid = rng.normal(0, 40 / math.sqrt(cell / 8), (height // cell + 1, width // cell + 1, 3)).astype(np.float32)
        clouds += cv2.resize(grid, size)
    return _clipped(clouds)


def _clipped(frame: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)
