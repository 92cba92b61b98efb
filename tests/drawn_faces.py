"""Simple drawn faces, whose mouths bend up or down: data that costs nothing and that a network learns in seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from training.data.assembling import split_groups
from training.data.faces import NO_LABEL, WIDE_BOX, WIDE_SIZE, Faces
from training.fitting.augmentation import View, look

MARGIN = (WIDE_SIZE - WIDE_BOX) // 2


def draw_wide(smile: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A face and what is round it, uint8 `(128, 128)`, no two alike, and its landmarks `(5, 2)` in shares of the box."""
    image: Any = draw_background(rng)
    x, y = 64 + rng.integers(-3, 4, 2)
    cv2.ellipse(image, (int(x), int(y)), (int(rng.integers(30, 37)), int(rng.integers(36, 41))), 0, 0, 360, 170, cv2.FILLED)
    light = cv2.resize(rng.integers(0, 90, (6, 6), np.uint8), (WIDE_SIZE, WIDE_SIZE), interpolation=cv2.INTER_CUBIC)
    image = cv2.subtract(image, light)
    left, right = int(x - rng.integers(11, 16)), int(x + rng.integers(11, 16))
    eyes, mouth = int(y - rng.integers(8, 13)), int(y + rng.integers(14, 18))
    for eye in (left, right):
        cv2.circle(image, (eye, eyes), 4, 10, cv2.FILLED)
    nose = int(x), int(y + 3)
    cv2.circle(image, nose, 3, 60, cv2.FILLED)
    corner = mouth + (-4 if smile else 8)
    bend = (0, 180) if smile else (180, 360)
    if smile:
        cv2.ellipse(image, (int(x), corner), (16, 13), 0, *bend, 250, cv2.FILLED)
    cv2.ellipse(image, (int(x), corner), (16, 13), 0, *bend, 10, 3)
    points = np.array([(left, eyes), (right, eyes), nose, (x - 16, corner), (x + 16, corner)], float)
    return image, (points + 0.5 - MARGIN) / WIDE_BOX


def draw_background(rng: np.random.Generator) -> np.ndarray:
    """A wall with spots, uint8 `(128, 128)`."""
    spots = rng.integers(0, 200, (8, 8), np.uint8)
    return cv2.resize(spots, (WIDE_SIZE, WIDE_SIZE), interpolation=cv2.INTER_CUBIC)


def draw_face(smile: bool, rng: np.random.Generator) -> np.ndarray:
    """A tight crop of a drawn face, uint8 `(80, 80)`."""
    return draw_wide(smile, rng)[0][MARGIN:-MARGIN, MARGIN:-MARGIN]


# Which of the five landmarks stands for each of 68 points: jaw, brows, nose, eyes, mouth.
_NEAREST = np.array([*[0] * 8, 2, *[1] * 8, *[0] * 5, *[1] * 5, *[2] * 9, *[0] * 6, *[1] * 6, *[3] * 6, *[4] * 14])


def drawn_set(source: str, n: int, seed: int, *, backgrounds: int = 0, measured: bool = True) -> Faces:
    """A dataset of n faces, every second one smiling, and of crops without a face, each its own group, not split.

    Every face has 68 points; `measured`: it has its landmarks, too.
    """
    rng = np.random.default_rng(seed)
    drawn = [draw_wide(i % 2 == 0, rng) for i in range(n)]
    wide = np.stack([image for image, _ in drawn] + [draw_background(rng) for _ in range(backgrounds)])
    landmarks = np.full((len(wide), 5, 2), np.nan, np.float32)
    landmarks[:n] = [points for _, points in drawn]
    smile = [1 - i % 2 for i in range(n)] + [-1] * backgrounds
    names = [f"{'neutral' if i % 2 else 'happy'}/{i}.png" for i in range(n)]
    return Faces(
        gray=np.stack([look(image, View()) for image in wide]),
        wide=wide,
        smile=np.array(smile, np.int8),
        face=np.array([1] * n + [0] * backgrounds, np.uint8),
        landmarks=landmarks if measured else np.full_like(landmarks, np.nan),
        shape68=landmarks[:, _NEAREST],
        source=np.full(len(wide), source),
        name=np.array(names + [f"{names[i % n]}#{i // n}" for i in range(backgrounds)]),
        group=np.arange(len(wide)),
        split=np.full(len(wide), "train"),
    )


def drawn_parts() -> Faces:
    """Two sets, every part of the split with faces of both; landmarks and backgrounds in one of them."""
    whole = Faces.join([drawn_set("mine", 36, 1, backgrounds=9), drawn_set("yours", 30, 2, measured=False)])
    group = np.arange(len(whole)) // 2
    return replace(whole, group=group, split=np.array(["test", "train", "val"])[group % 3])


def every_kind_of_set() -> Faces:
    """A small dataset of every kind of set: photos with backgrounds, crops, and points without labels."""
    points = drawn_set("keypoints", 60, 4)
    whole = Faces.join(
        [
            drawn_set("genki", 160, 1, backgrounds=24, measured=False),
            drawn_set("smiles", 50, 2, measured=False),
            drawn_set("getty_faces", 50, 3, measured=False),
            replace(points, smile=np.full_like(points.smile, NO_LABEL)),
        ]
    )
    return split_groups(whole, seed=0)
