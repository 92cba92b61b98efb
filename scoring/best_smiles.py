"""The photos of a scored event that are worth keeping: those with a smile, or the best ones, without near-copies.

    photos = lambda: smiling_photos(table.written())
    for photo in best_smiles(photos, 20): ...

A photo is as good as the weakest smile among its main faces. Main faces are at least half as high as the largest. So in a
good group photo everybody smiles, and a passer-by in the background does not matter. If photos are equal to two digits, the
one with more main faces is better, then the one with the higher mean, then the earlier one. Videos are left out.

Photos look alike if their fingerprints (`pictures.perceptual_hash`) differ in few bits. The photos of a burst are taken one
after another, so each photo is compared with those near it in name order in the same folder. The same picture twice is found
anywhere.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from common.errors import PictureError
from pictures.decoding import decode_small
from pictures.perceptual_hash import perceptual_hash
from pictures.reading import read_bytes
from smile_recognition import SMILE_THRESHOLD

_MAIN = 0.5  # of the largest face's height
_NEAR = 15  # photos apart, in name order
# How many bits may differ, in one burst and anywhere. Among pairs of GENKI's photos, all head and shoulders of other
# people, one in ten thousand differs in 12 or fewer. Shots of one scene a third of a second apart differ in 0 to 12.
_ALIKE_NEAR, _ALIKE = 12, 2
_AT_ONCE = 1000  # photos held in memory


@dataclass(frozen=True)
class SmilingPhoto:
    """A photo with at least one smile. `place`: its number among all files; `lowest`, `mean`: P(smile) of its `main`
    faces.
    """

    file: str
    place: int
    faces: int
    main: int
    lowest: float
    mean: float

    @property
    def rank(self) -> tuple[float, int, float, int]:
        """The sort key: lower is better."""
        return -round(self.lowest, 2), -self.main, -self.mean, self.place


def smiling_photos(rows: Iterable[Mapping[str, Any]]) -> Iterator[SmilingPhoto]:
    """The photos with a smile in a table's rows, which hold values as numbers or as text."""
    place = -1
    file: str | None = None
    faces: list[tuple[float, float]] = []  # height, P(smile)
    for row in rows:
        number = int(row["face"] or 0)
        if row["file"] != file or number <= len(faces):  # the next file or frame, or the same file again
            if file is not None and (photo := _photo(file, place, faces)):
                yield photo
            file, faces = row["file"], []
            place += 1
        if number and row["time_s"] in (None, "") and row["smile"] not in (None, ""):
            faces.append((float(row["bottom"]) - float(row["top"]), float(row["smile"])))
    if file is not None and (photo := _photo(file, place, faces)):
        yield photo


def _photo(file: str, place: int, faces: list[tuple[float, float]]) -> SmilingPhoto | None:
    if not any(smile >= SMILE_THRESHOLD for _, smile in faces):
        return None
    highest = max(height for height, _ in faces)
    main = [smile for height, smile in faces if height >= _MAIN * highest]
    return SmilingPhoto(file, place, len(faces), len(main), min(main), sum(main) / len(main))


@dataclass
class _Burst:
    folder: str
    members: list[tuple[int, int]] = field(default_factory=list)  # place, fingerprint

    def holds(self, photo: SmilingPhoto, print_: int) -> bool:
        near = os.path.dirname(photo.file) == self.folder
        for place, other in self.members:
            differ = (print_ ^ other).bit_count()
            if differ <= _ALIKE or (differ <= _ALIKE_NEAR and near and abs(photo.place - place) <= _NEAR):
                return True
        return False


def best_smiles(
    photos: Callable[[], Iterable[SmilingPhoto]], count: int, *, one_per_burst: bool = True, folder: str = ""
) -> list[SmilingPhoto]:
    """The `count` best of `photos`, the best first. `photos` is called as often as needed.

    `one_per_burst`: only the best of photos that look alike. At most some thousand are held in memory. Photos that can no
    longer be read are passed over.
    """
    chosen: list[SmilingPhoto] = []
    bursts: list[_Burst] = []
    after: tuple[float, int, float, int] | None = None
    while len(chosen) < count:
        left = (photo for photo in photos() if after is None or photo.rank > after)
        batch = heapq.nsmallest(max(_AT_ONCE, 2 * count), left, key=lambda photo: photo.rank)
        if not one_per_burst:
            return batch[:count]
        for photo in batch:
            print_ = fingerprint(os.path.join(folder, photo.file))
            if print_ is None:
                continue
            burst = next((burst for burst in bursts if burst.holds(photo, print_)), None)
            if burst is None:
                burst = _Burst(os.path.dirname(photo.file))
                bursts.append(burst)
                chosen.append(photo)
            burst.members.append((photo.place, print_))
            if len(chosen) == count:
                return chosen
        if not batch:
            break
        after = batch[-1].rank
    return chosen


def fingerprint(path: str) -> int | None:
    """The photo's `perceptual_hash`. None if it can't be read."""
    try:
        return perceptual_hash(decode_small(read_bytes(path), 128, gray=True))
    except PictureError:
        return None
