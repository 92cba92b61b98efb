"""The picture sets that training knows, and how to read any `folder/{smile,no_smile}` besides.

A set is a folder of class folders, or a zip of one. `KNOWN` says which class folders mean a smile and whether the pictures
are tight face crops or whole photos whose face must be found first.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from errors import DatasetError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
_DEFAULT_CLASSES = {"smile": 1, "no_smile": 0}


@dataclass(frozen=True)
class Source:
    """One labelled set. `scale`: (x, y) factors that undo a squashed or tiny photo before a face is looked for."""

    name: str
    classes: dict[str, int]
    cropped: bool
    scale: tuple[float, float] = (1.0, 1.0)
    persons: bool = True  # sharp enough to recognise the same person in two pictures


KNOWN = {
    source.name: source
    for source in (
        Source("genki", _DEFAULT_CLASSES, cropped=False),
        Source("smiles", _DEFAULT_CLASSES, cropped=True),
        Source("getty_faces", _DEFAULT_CLASSES, cropped=True),
        Source(
            "rafdb",
            # A surprised or angry face with bared teeth is what a smile detector must not take for a smile.
            {"happy": 1, "neutral": 0, "sad": 0, "anger": 0, "surprise": 0, "disgust": 0, "fear": 0},
            cropped=True,
            persons=False,  # many are so blurred that their descriptors chain 2,916 strangers into one person
        ),
        # Pictures of 178x218 squashed to 64x64: undo the squash, and enlarge so that the 35 px faces can be found.
        Source("celeba64", _DEFAULT_CLASSES, cropped=False, scale=(3.0, 3.0 * 218 / 178)),
        Source(
            "fer",
            {"happy": 1, "neutral": 0, "sad": 0, "angry": 0, "surprise": 0, "fear": 0},
            cropped=True,
            persons=False,
        ),
    )
}


def find_source(path: Path, *, cropped: bool = False) -> Source:
    """The known set that a zip is named after, else the rules for a user's own `{smile,no_smile}`."""
    known = KNOWN.get(path.stem) if path.suffix == ".zip" else None
    return known or Source(path.stem, _DEFAULT_CLASSES, cropped=cropped)


def iterate_images(path: Path, source: Source) -> Iterator[tuple[str, int, bytes]]:
    """`(name, smile 0 or 1, file bytes)` of every picture of the set, in name order.

    Raises DatasetError when the path, or one of its two classes, is missing or empty.
    """
    counts = {0: 0, 1: 0}
    for name, read in _files(path):
        parts = Path(name).parts
        label = source.classes.get(parts[-2]) if len(parts) > 1 else None
        if label is None or Path(name).suffix.lower() not in IMAGE_SUFFIXES:
            continue
        counts[label] += 1
        yield "/".join(parts[-2:]), label, read()
    for label, count in counts.items():
        if not count:
            folders = " or ".join(name for name, value in source.classes.items() if value == label)
            raise DatasetError(f"{path} has no pictures in a folder called {folders}; a network needs both classes.")


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except zipfile.BadZipFile:
        return b""  # counted as unreadable, like any damaged picture


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path.parent).as_posix(), file.read_bytes
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if not name.endswith("/"):
                    yield name, partial(_read_member, archive, name)
    else:
        raise DatasetError(f"{path} is neither a folder nor a zip file; give a set with folders smile and no_smile.")
