"""The picture sets that training knows, and how to read any other `folder/{smile,no_smile}`.

A set is a folder of class folders, or a zip of one. `KNOWN` says which class folders mean a smile and whether the pictures
are tight face crops or whole photos whose face must be found first.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from common.errors import DatasetError
from pictures.finding import PHOTO_SUFFIXES
from pictures.picture_size import begins_as_picture
from training.data.faces import NO_LABEL

_DEFAULT_CLASSES = {"smile": 1, "no_smile": 0}


@dataclass(frozen=True)
class Source:
    """One labelled set. `scale`: (x, y) factors that enlarge a squashed or tiny photo before the search for its face."""

    name: str
    classes: dict[str, int] = field(default_factory=lambda: dict(_DEFAULT_CLASSES))
    cropped: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    person_distance: float = 0.40  # descriptors nearer than this are one person; 0 if that can't be told
    copy_correlation: float = 0.97  # thumbnails that correlate more than this show one picture
    backgrounds: int = 2  # crops without a face to take from each photo
    points_file: str = ""  # a table of 68 points for each picture, instead of class folders


@dataclass(frozen=True)
class Picture:
    """One file of a set: its name in the set, `smile` 1, 0 or -1 for unknown, its bytes, and known points `(68, 2)`."""

    name: str
    smile: int
    data: bytes
    points: np.ndarray | None = None


KNOWN = {
    source.name: source
    for source in (
        Source("genki"),
        Source("smiles", cropped=True),
        Source("getty_faces", cropped=True),
        Source(
            "rafdb",
            # A smile detector must not take a surprised or angry face with bared teeth for a smile.
            {"happy": 1, "neutral": 0, "sad": 0, "anger": 0, "surprise": 0, "disgust": 0, "fear": 0},
            cropped=True,
            person_distance=0.28,  # many are so blurred that a looser limit would join thousands of strangers
        ),
        # Pictures of 178x218 squashed to 64x64: undo the squash, and enlarge so that the 35 px faces can be found.
        Source("celeba64", scale=(3.0, 3.0 * 218 / 178), backgrounds=1),
        Source(
            "fer",
            {"happy": 1, "neutral": 0, "sad": 0, "angry": 0, "surprise": 0, "fear": 0},
            cropped=True,
            person_distance=0,  # 48 px: too coarse to know a person by
            copy_correlation=0.955,
        ),
        # Happy faces are from FFHQ and the others from AffectNet: label and origin hang together.
        Source("affect", {"happy": 1, "sad": 0, "anger": 0, "disgust": 0, "fear": 0, "surprise": 0}, backgrounds=0),
        Source("keypoints", classes={}, person_distance=0, points_file="keypoints.csv"),
    )
}


def find_source(path: Path, *, cropped: bool = False) -> Source:
    """The known set with the zip's name, or else the rules for a user's own `{smile,no_smile}`."""
    known = KNOWN.get(path.stem) if path.suffix == ".zip" else None
    return known or Source(path.stem, cropped=cropped)


def iterate_images(path: Path, source: Source) -> Iterator[Picture]:
    """Every picture of the set, in name order: by its suffix, or by its content if it has none.

    Raises DatasetError if the path, or one of its two classes, is missing or empty.
    """
    if source.points_file:
        yield from _iterate_points(path, source)
        return
    counts = {0: 0, 1: 0}
    seen: set[str] = set()
    for name, read in set_files(path):
        parts = PurePosixPath(name).parts
        label = source.classes.get(parts[-2]) if len(parts) > 1 else None
        suffix = PurePosixPath(name).suffix.lower()
        if label is None or not (suffix in PHOTO_SUFFIXES or (not suffix and begins_as_picture(read()[:4096]))):
            continue
        counts[label] += 1
        short = "/".join(parts[-2:])
        unique = short if short not in seen else name  # 2020/smile/1.jpg and 2021/smile/1.jpg are two pictures
        seen.add(unique)
        yield Picture(unique, label, read())
    for label, count in counts.items():
        if not count:
            folders = " or ".join(name for name, value in source.classes.items() if value == label)
            raise DatasetError(f"{path} has no pictures in a folder called {folders}; a network needs both classes.")


def person_in_name(name: str) -> str:
    """`test_Adam_Sandler_40.jpg` -> `test_Adam_Sandler`: a frame number after the last underscore."""
    return PurePosixPath(name).stem.rpartition("_")[0]


def _iterate_points(path: Path, source: Source) -> Iterator[Picture]:
    files = {PurePosixPath(name).name: read() for name, read in set_files(path)}  # while the zip is open
    if source.points_file not in files:
        raise DatasetError(f"{path} has no {source.points_file} with the points of its pictures.")
    try:
        rows = list(csv.reader(io.StringIO(files[source.points_file].decode())))[1:]
        points = {row[0]: np.array(row[1:], float).reshape(68, 2) for row in rows}
    except (ValueError, IndexError, csv.Error) as error:
        raise DatasetError(f"{source.points_file} in {path} is not a table of file, x0, y0 ... x67, y67.") from error
    for name in sorted(points):
        if name in files:
            yield Picture(name, NO_LABEL, files[name], points[name])


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last one: a password, or an unknown packing
        return b""  # counted as unreadable, like any damaged picture


def set_files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and content of every file of a set, a folder or a zip, in name order. Raises DatasetError."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path.parent).as_posix(), file.read_bytes
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"{path} is neither a folder nor a whole zip file; give a set with folders smile and no_smile."
        ) from error
    with archive:
        for name in sorted(archive.namelist()):
            if not name.endswith("/"):
                yield name, partial(_read_member, archive, name)
