"""Things that are drawn here because photos without faces have few of them, and that a finder takes for faces: clouds, and
lettering as titles and captions show it.
"""

from __future__ import annotations

import cv2
import numpy as np

_FONTS = tuple(range(8))  # all of OpenCV's
_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?&%@"))
_CELLS = (2, 4, 8, 16, 32, 64)  # pixels, at most


def clouds(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Fractal noise (Voss 1985) before a sky that grows lighter or darker downwards: uint8 `(h, w)` for `size` (w, h)."""
    width, height = size
    roughness = rng.uniform(0.5, 1.3)
    noise = np.zeros((height, width), np.float32)
    for cell in _CELLS:
        grid = rng.normal(0, cell**roughness, (height // cell + 3, width // cell + 3)).astype(np.float32)
        noise += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    low, high = np.quantile(noise, sorted(rng.uniform(0.2, 1.0, 2)))
    cover = np.clip((noise - low) / max(float(high - low), 1e-3), 0, 1)
    top, bottom = rng.uniform(10, 220, 2)
    sky = np.linspace(top, bottom, height, dtype=np.float32)[:, None]
    shade = cv2.GaussianBlur(noise, (0, 0), rng.uniform(1, 6)) / max(float(noise.std()), 1e-3) * rng.uniform(-25, 25)
    cloud = rng.uniform(60, 255) + shade
    return np.clip(sky + cover * (cloud - sky), 0, 255).astype(np.uint8)


def letter(frame: np.ndarray, rng: np.random.Generator) -> None:
    """Writes a word somewhere into the frame, uint8 `(h, w)`, often with an outline or a shadow."""
    height, width = frame.shape
    word = "".join(rng.choice(_LETTERS, rng.integers(1, 11)))
    font, scale = int(rng.choice(_FONTS)), float(np.exp(rng.uniform(np.log(0.25), np.log(4.0))))
    thick = max(1, round(scale * rng.uniform(0.8, 5.0)))
    (wide, _), _ = cv2.getTextSize(word, font, scale, thick)
    place = int(rng.uniform(-0.5, 0.5) * wide + rng.uniform(-0.2, 0.8) * width), int(rng.uniform(0.3, 1.2) * height)
    ink, edge = (float(value) for value in rng.uniform(0, 255, 2))
    if rng.random() < 0.6:
        moved = place[0] + int(rng.integers(-2, 3)), place[1] + int(rng.integers(-2, 3))
        cv2.putText(frame, word, moved, font, scale, edge, thick + 1 + round(scale * 2), cv2.LINE_AA)
    cv2.putText(frame, word, place, font, scale, ink, thick, cv2.LINE_AA)
