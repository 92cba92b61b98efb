"""A dataset in memory and on disk: n face crops and what is known about each."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import DatasetError
from common.whole_files import replacing
from smile_recognition import CROP_SIZE

SPLITS = ("train", "val", "test")
WIDE_SIZE = 128  # pixels of a wide crop ...
WIDE_BOX = 80  # ... whose face box is this square in the middle
NO_LABEL = -1
_SHAPES = {"gray": (CROP_SIZE, CROP_SIZE), "wide": (WIDE_SIZE, WIDE_SIZE), "landmarks": (5, 2), "shape68": (68, 2)}


@dataclass(frozen=True)
class Faces:
    """A dataset of n crops.

    `gray` uint8 `(n, 64, 64)`: exactly what the app reads. `wide` uint8 `(n, 128, 128)`: the same face with its
    surroundings, for shifting and turning in training. `smile` int8 `(n,)`: 1, 0, or -1 if unknown. `face` uint8 `(n,)`: 0
    for a crop without a face. `landmarks` float32 `(n, 5, 2)` in the order of `smile_recognition.LANDMARKS`, and `shape68`
    float32 `(n, 68, 2)`, dlib's guess: `(x, y)`, 0 to 1 across the box, NaN where unknown. `source`, `name`, `split` str
    `(n,)`; `group` int `(n,)`.
    """

    gray: np.ndarray
    wide: np.ndarray
    smile: np.ndarray
    face: np.ndarray
    landmarks: np.ndarray
    shape68: np.ndarray
    source: np.ndarray
    name: np.ndarray
    group: np.ndarray
    split: np.ndarray

    def __len__(self) -> int:
        return len(self.gray)

    def fields(self) -> dict[str, np.ndarray]:
        return {field: getattr(self, field) for field in self.__dataclass_fields__}

    def where(self, chosen: np.ndarray) -> Faces:
        """The faces that a mask `(n,)` or index array chooses."""
        return Faces(**{field: value[chosen] for field, value in self.fields().items()})

    def part(self, split: str, source: str | None = None) -> Faces:
        """The faces of one split, and of one source if given."""
        chosen = self.split == split
        if source is not None:
            chosen &= self.source == source
        return self.where(chosen)

    def labelled(self) -> Faces:
        """The faces with a smile label."""
        return self.where(self.smile != NO_LABEL)

    def save(self, path: Path) -> None:
        save_arrays(path, self.fields())

    @classmethod
    def join(cls, parts: list[Faces]) -> Faces:
        return cls(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in cls.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Faces:
        """The dataset in a file. Raises DatasetError if the file is missing or is not a dataset."""
        how = f"`python -m training.dataset PHOTOS --out {path.with_suffix('')}`"
        try:
            return cls(**load_rows(path, {field: _SHAPES.get(field, ()) for field in cls.__dataclass_fields__}))
        except FileNotFoundError as error:
            raise DatasetError(f"There is no dataset at {path}; make it with {how}.") from error
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path} is not a dataset; make it again with {how}.") from error


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A kill leaves the old file or the new one, never half of one. Not compressed: a gigabyte would take a minute."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays of a file of `save_arrays`. Raises OSError, and ValueError for one that is damaged or holds others."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return {name: data[name] for name in names}
    except (KeyError, EOFError, TypeError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged, or holds something else.") from error


def load_rows(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """As `load_arrays`, of arrays with as many rows each, whose shapes are these. Raises ValueError for others, too."""
    arrays = load_arrays(path, shapes)
    rows = {array.shape[:1] for array in arrays.values()}
    if len(rows) != 1 or () in rows or any(array.shape[1:] != shapes[name] for name, array in arrays.items()):
        raise ValueError(f"The arrays in {path} do not belong together.")
    return arrays
