"""Measure where the five landmarks lie in face_recognition's boxes, for the constants in `faces/alignment.py`.

    python -m benchmarks.landmark_geometry [--data datasets/faces.npz]

Prints medians over the upright GENKI photos of the training part, made symmetrical. It does not look at smile labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from smile_recognition import LANDMARKS
from training.data.faces import Faces
from training.fitting.augmentation import MIRRORED_LANDMARKS
from training.fitting.batches import guessed_landmarks


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landmark_geometry")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"))
    parser.add_argument("--set", default="genki")
    options = parser.parse_args()
    faces = Faces.load(options.data).part("train")
    faces = faces.where(faces.face == 1)
    points = guessed_landmarks(faces)[faces.source == options.set]  # (n, 5, 2)
    tilt = points[:, 1] - points[:, 0]
    points = points[np.abs(tilt[:, 1] / tilt[:, 0]) < 0.1]
    mirrored = points[:, MIRRORED_LANDMARKS] * (-1, 1) + (1, 0)
    median = np.median(np.concatenate([points, mirrored]), axis=0)
    print(f"{len(points)} upright faces of {options.set}")
    for name, (x, y) in zip(LANDMARKS, median, strict=True):
        print(f"{name:12} {x:.3f} {y:.3f}")


if __name__ == "__main__":
    main()
