"""Do to training crops what a webcam does to a face: shift, scale, tilt, blur, dimness, noise, JPEG, hands and hair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from smile_recognition import CROP_SIZE
from training.data.faces import WIDE_BOX, WIDE_SIZE


@dataclass(frozen=True)
class View:
    """How a crop is seen: degrees clockwise, times larger, `(x, y)` in box sides, mirrored."""

    angle: float = 0.0
    scale: float = 1.0
    aspect: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False

    def matrix(self, size: int = CROP_SIZE) -> np.ndarray:
        """The affine map float64 `(2, 3)` from points of the box, 0 to 1, to points of the view, 0 to 1."""
        turn = np.deg2rad(self.angle)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        stretch = np.diag([self.scale * self.aspect * (-1 if self.mirrored else 1), self.scale])
        linear = rotation @ stretch
        return np.column_stack([linear, 0.5 + np.array(self.shift) - linear @ np.full(2, 0.5)])


def random_view(rng: np.random.Generator, strength: float = 1.0) -> View:
    """A view in which a detector or tracker may hand over a face: mostly near upright, one in four up to 45 degrees.

    `strength` 0 to 1: the lower, the rarer are views that are far off.
    """
    far = rng.random() < 0.25 * strength
    return View(
        angle=float(rng.uniform(-45, 45) if far else np.clip(rng.normal(0, 9), -45, 45)),
        scale=float(rng.uniform(0.72, 1.35) if rng.random() < 0.25 * strength else rng.uniform(0.85, 1.18)),
        aspect=float(rng.uniform(0.93, 1.07)),
        shift=tuple(rng.uniform(-0.18, 0.18, 2) if rng.random() < 0.25 * strength else rng.uniform(-0.08, 0.08, 2)),
        mirrored=bool(rng.random() < 0.5),
    )


def missing_view(rng: np.random.Generator) -> View:
    """A view of a tracker that has lost the face: half of it or less, or far too large or small."""
    if rng.random() < 0.6:
        turn = rng.uniform(0, 2 * np.pi)
        far = rng.uniform(0.55, 1.0)
        return View(
            angle=float(rng.normal(0, 20)), shift=(far * np.cos(turn), far * np.sin(turn)), scale=rng.uniform(0.8, 1.3)
        )
    return View(angle=float(rng.normal(0, 20)), scale=float(rng.uniform(2.4, 4.0)), shift=tuple(rng.uniform(-0.4, 0.4, 2)))


def look(wide: np.ndarray, view: View, size: int = CROP_SIZE) -> np.ndarray:
    """A wide crop uint8 `(128, 128)` seen through `view`: uint8 `(size, size)`."""
    matrix = view.matrix()
    margin = (WIDE_SIZE - WIDE_BOX) / 2
    # wide pixel -> box 0..1 -> view 0..1 -> view pixel; pixel centres stand at half coordinates.
    to_box = np.array(
        [[1 / WIDE_BOX, 0, (0.5 - margin) / WIDE_BOX], [0, 1 / WIDE_BOX, (0.5 - margin) / WIDE_BOX], [0, 0, 1]]
    )
    to_pixel = np.array([[size, 0, -0.5], [0, size, -0.5], [0, 0, 1.0]])
    whole = to_pixel @ np.vstack([matrix, [0, 0, 1]]) @ to_box
    shrunk = WIDE_BOX / size / view.scale
    if shrunk > 1.3:  # bilinear sampling skips pixels: smooth them first
        wide = cv2.GaussianBlur(wide, (0, 0), 0.35 * shrunk)
    return cv2.warpAffine(wide, whole[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def move_points(points: np.ndarray, view: View, mirror_order: np.ndarray) -> np.ndarray:
    """Points `(n, 2)` of the box as the view shows them; `mirror_order` `(n,)` renames left and right in a mirrored view."""
    matrix = view.matrix()
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[mirror_order] if view.mirrored else moved


_FAINT = 18  # grey levels, the standard deviation within a crop
_NOISY = 0.3  # share of the spoilt crops
_MOST_NOISE = 28  # grey levels: what is left of noise of 60 in a face of 140 pixels

# Left and right change places in a mirrored picture.
MIRRORED_LANDMARKS = np.array([1, 0, 2, 4, 3])
# fmt: off
MIRRORED_68 = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41,
    40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
])
# fmt: on


def spoil(gray: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What camera and light do to a crop uint8 `(h, h)`: the same face in a worse picture, uint8 `(h, h)`."""
    picture = _lit(_focused(gray, rng).astype(np.float32), rng)
    faint = picture.std() < _FAINT  # has noise enough, and would not outlive JPEG
    if rng.random() < _NOISY and not faint:
        picture += _noise(picture.shape[0], rng) * np.exp(rng.uniform(np.log(2), np.log(_MOST_NOISE)))
    gray = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.15 and not faint:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))]
        gray = cv2.imdecode(cv2.imencode(".jpg", gray, quality)[1], cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
    if rng.random() < 0.1:  # something in front of the face, small enough that the mouth can still be read
        size = gray.shape[0]
        h, w = rng.integers(size // 8, size // 4, 2)
        y, x = rng.integers(0, size - h), rng.integers(0, size - w)
        gray[y : y + h, x : x + w] = rng.integers(0, 256)
    return gray


def spoilt(wide: np.ndarray, size: int = CROP_SIZE, view_scale: float = 1.0, seed: int = 0) -> np.ndarray:
    """Wide crops uint8 `(n, 128, 128)` as a worse camera would show them, uint8 `(n, size, size)`; alike at every call."""
    crops = np.empty((len(wide), size, size), np.uint8)
    for i, one in enumerate(wide):
        rng = np.random.default_rng([seed, i])
        view = random_view(rng)
        crops[i] = spoil(look(one, replace(view, scale=view.scale * view_scale), size), rng)
    return crops


def _focused(gray: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fewer real pixels, as a small or far face has, or blurred by focus or by motion; or as it is."""
    size, kind = gray.shape[0], rng.random()
    if kind < 0.18:
        small = int(rng.integers(16, 48))
        return cv2.resize(cv2.resize(gray, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    if kind < 0.33:
        return cv2.GaussianBlur(gray, (0, 0), float(rng.uniform(0.5, 2.6)))
    if kind < 0.40:
        length, turn = int(rng.integers(3, 12)), rng.uniform(0, np.pi)
        way = np.round(np.outer(np.linspace(-1, 1, 2 * length), (np.cos(turn), np.sin(turn))) * length / 2 + length).astype(
            int
        )
        kernel = np.zeros((2 * length + 1, 2 * length + 1), np.float32)
        np.add.at(kernel, (way[:, 1], way[:, 0]), 1 / len(way))
        return cv2.filter2D(gray, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return gray


def _lit(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side, other brightness and gamma, and now and then hardly any light, far too much, or haze."""
    size = picture.shape[0]
    if rng.random() < 0.25:
        ramp = np.linspace(-1, 1, size, dtype=np.float32) * float(rng.uniform(-0.8, 0.8))
        picture *= 1 + (ramp[None] if rng.random() < 0.5 else ramp[:, None])
    kind = rng.random()
    if kind < 0.4:
        gain, gamma = rng.uniform(0.35, 1.25), rng.uniform(0.6, 1.6)
        return 255 * (np.clip(picture, 0, 255) / 255) ** gamma * gain + rng.uniform(-20, 20)
    if kind < 0.52:  # a dark room: what light is left, and the sensor's own noise
        return picture * np.exp(rng.uniform(np.log(0.08), np.log(0.35))) + _noise(size, rng) * rng.uniform(0.5, 4)
    if kind < 0.58:
        return np.clip(picture * rng.uniform(1.3, 2.2), 0, 255)
    if kind < 0.64:
        return picture * rng.uniform(0.15, 0.4) + rng.uniform(40, 150)
    return picture


def _noise(size: int, rng: np.random.Generator) -> np.ndarray:
    """Of standard deviation 1, float32 `(size, size)`; or coarse as in a small face that was enlarged, and then of 0.7."""
    if rng.random() < 0.65:
        return rng.standard_normal((size, size), np.float32)
    small = int(rng.integers(size // 3, size))
    coarse = cv2.resize(rng.standard_normal((small, small), np.float32), (size, size))
    return coarse * 0.7 / max(float(coarse.std()), 1e-6)
