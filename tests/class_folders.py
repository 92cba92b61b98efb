"""Sets of drawn faces in class folders and zips, and the command that makes datasets of such."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from tests.drawn_faces import draw_face, drawn_set
from training import dataset


def save_pictures(folder: Path, count: int, classes: tuple[str, str] = ("smile", "no_smile"), seed: int = 1) -> Path:
    """`folder` with `count` drawn faces in each of two class folders."""
    rng = np.random.default_rng(seed)
    for label in classes:
        (folder / label).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / label / f"{i}.png"), draw_face(label == classes[0], rng))
    return folder


def save_crops(folder: Path, of_each: int) -> Path:
    """`folder` with tight crops of so many drawn faces of each class."""
    for label, smile in (("smile", 1), ("no_smile", 0)):
        (folder / label).mkdir(parents=True)
        faces = drawn_set("mine", 2 * of_each, 7)
        for number, gray in enumerate(faces.gray[faces.smile == smile]):
            cv2.imwrite(str(folder / label / f"{number}.png"), gray)
    return folder


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


def build(*options: object) -> int:
    return dataset.main([str(option) for option in options])
