"""Ask MediaPipe's Face Landmarker about the faces of a dataset's training part: dense points and blendshapes.

    python -m training.dense --teacher face_landmarker.task                 # datasets/faces.npz -> datasets/faces.dense.npz
    python -m training.train --start-from models --dense datasets/faces.dense.npz --out runs/dense

They teach the network's shared layers what a mouth, an eye and a brow do (`training.train --dense`); none of it ships. The
teacher is a file of MediaPipe's (Apache 2.0, 3.8 MB), which is not in this project; its own licence covers what comes of it.
It takes about 10 ms a face. A killed run begins anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from common.commands import said_plainly
from common.errors import DatasetError
from training.data.dense import POINTS, SHAPES, Dense, FaceLandmarker
from training.data.faces import Faces
from training.data.reading import five_points


@said_plainly("The points could not be written", "Stopped; nothing was written.")
def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    out = options.out or options.data.with_suffix(".dense.npz")
    teacher = FaceLandmarker(options.teacher)
    dense = ask(teacher, _training_faces(options.data))
    dense.save(out)
    for source in np.unique(dense.source):
        seen = ~np.isnan(dense.shapes[dense.source == source, 0])
        print(f"{source}: {seen.sum():,} of {len(seen):,} faces seen")
    print(f"Wrote {out}.")
    return 0


def _training_faces(data: Path) -> Faces:
    """Raises DatasetError."""
    faces = Faces.load(data)
    faces = faces.where((faces.split == "train") & (faces.face == 1))
    if not len(faces):
        raise DatasetError(f"{data} has no training faces; the teacher is asked about these alone.")
    return faces


def ask(teacher: FaceLandmarker, faces: Faces) -> Dense:
    """What the teacher says of every face. Prints how far it has come."""
    cv2.setNumThreads(1)
    points = np.full((len(faces), len(POINTS), 2), np.nan, np.float16)
    shapes = np.full((len(faces), len(SHAPES)), np.nan, np.float16)
    eyes = np.where(np.isnan(faces.landmarks).any(axis=(1, 2))[:, None, None], five_points(faces.shape68), faces.landmarks)
    for i, (wide, known) in enumerate(zip(faces.wide, eyes, strict=True)):
        upright = np.array([[0.3, 0.4], [0.7, 0.4]])
        if (read := teacher.read(wide, upright if np.isnan(known[:2]).any() else known[:2])) is not None:
            points[i], shapes[i] = read
        if i % 5000 == 4999:
            print(f"{i + 1:,} of {len(faces):,} faces", flush=True)
    return Dense(points, shapes, faces.source, faces.name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.dense", description="Dense points of a dataset's faces.")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--teacher", type=Path, required=True, metavar="FILE", help="MediaPipe's face_landmarker.task")
    parser.add_argument("--out", type=Path, help="file to write (default: beside the dataset, .dense.npz)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
