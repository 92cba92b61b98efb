"""The pictures for the finder's training frames, and the places of their faces.

Nobody has marked all faces in these sets, so teachers do it once. YuNet finds the faces. The smile network's landmarks say
where each face is, how large it is and how it leans; they lie where face_recognition's boxes expect them.
"""

from __future__ import annotations

import multiprocessing
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from common.errors import DatasetError
from faces.alignment import align, align_exactly
from faces.following import distance, look
from pictures.finding import PHOTO_SUFFIXES
from smile_recognition import PRESENCE_THRESHOLD, SmileRecognizer, crop_face
from training.data.faces import load_arrays, save_arrays
from training.data.grouping import duplicate_pairs

BACKGROUNDS = "backgrounds"
# Pictures of 178x218, squashed to 64x64.
_UNSQUASHED = {"celeba64": (89, 109)}
_LONGEST = 420  # pixels of a stored picture's longer side; frames are 160 wide
# YuNet's scores: from the first on a face; between the two neither taught nor counted as a mistake.
_SURE, _PERHAPS = 0.6, 0.3
_LOOKS = (256, 128, 448)  # longer side at which YuNet looks, in this order, until it is sure
_ROOM = 0.25  # added at each side for YuNet, which misses faces that fill the picture
# How far the smile network's place for a face may be from YuNet's, in heights, and how different in size.
_MOST_SHIFT, _MOST_SIZE = 0.25, 1.4
_FIELDS = 13  # of one face: centre x, y, side, then five points x, y


@dataclass(frozen=True)
class Pictures:
    """n grey pictures of any size, and the faces in them.

    `pixels` uint8, those of all pictures end to end; `shapes` int `(n, 2)`; `source`, `name` and `split` str `(n,)`.
    `faces` float32 `(m, 13)`: centre x, y and side of the upright square, then x, y of five landmarks, in pixels of the
    picture; `sure` bool `(m,)`; `owner` int `(m,)`: the picture of each face.
    """

    pixels: np.ndarray
    shapes: np.ndarray
    source: np.ndarray
    name: np.ndarray
    split: np.ndarray
    faces: np.ndarray
    sure: np.ndarray
    owner: np.ndarray

    def __len__(self) -> int:
        return len(self.shapes)

    def __post_init__(self) -> None:
        sizes = self.shapes[:, 0].astype(np.int64) * self.shapes[:, 1]
        object.__setattr__(self, "_starts", np.concatenate([[0], np.cumsum(sizes)]))
        object.__setattr__(self, "_first", np.searchsorted(self.owner, np.arange(len(self) + 1)))

    def picture(self, i: int) -> np.ndarray:
        """uint8 `(h, w)`."""
        start, end = self._starts[i : i + 2]  # type: ignore[attr-defined]
        return self.pixels[start:end].reshape(self.shapes[i])

    def faces_of(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of `faces` and `sure` of one picture."""
        first, end = self._first[i : i + 2]  # type: ignore[attr-defined]
        return self.faces[first:end], self.sure[first:end]

    def save(self, path: Path) -> None:
        save_arrays(path, {name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Pictures:
        """The pictures in a file. Raises DatasetError if it is missing or something else."""
        try:
            return cls(**load_arrays(path, cls.__dataclass_fields__))
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{path} holds no pictures for the finder; make it with `python -m training.finder`."
            ) from error

    @classmethod
    def of(cls, read: list[tuple[str, str, str, np.ndarray, np.ndarray, np.ndarray]]) -> Pictures:
        """From each picture's source, name, split, grey picture, faces `(k, 13)` and sureness `(k,)`."""
        counts = [len(row[4]) for row in read]
        return cls(
            pixels=np.concatenate([row[3].ravel() for row in read]),
            shapes=np.array([row[3].shape for row in read]),
            source=np.array([row[0] for row in read]),
            name=np.array([row[1] for row in read]),
            split=np.array([row[2] for row in read]),
            faces=np.concatenate([row[4] for row in read]).astype(np.float32),
            sure=np.concatenate([row[5] for row in read]).astype(bool),
            owner=np.repeat(np.arange(len(read)), counts),
        )


def without_copies(pictures: Pictures) -> Pictures:
    """The same, but a training picture whose face is a near-copy of one outside that part becomes `unknown`: it is in no
    part.
    """
    main = [i for i in range(len(pictures)) if pictures.faces_of(i)[1].any()]
    crops = np.stack([_main_face(pictures, i) for i in main])
    pairs = np.array(main)[duplicate_pairs(crops).pairs]
    training = pictures.split == "train"
    mixed = pairs[training[pairs[:, 0]] != training[pairs[:, 1]]].ravel()
    split = pictures.split.astype("<U7")
    split[mixed[training[mixed]]] = "unknown"
    return replace(pictures, split=split)


def _main_face(pictures: Pictures, i: int) -> np.ndarray:
    faces, sure = pictures.faces_of(i)
    x, y, side = faces[np.argmax(np.where(sure, faces[:, 2], 0)), :3]
    return crop_face(pictures.picture(i), (y - side / 2, x + side / 2, y + side / 2, x - side / 2))


class Teacher:
    """YuNet and the smile network together. Raises DatasetError for a file that OpenCV can't read."""

    def __init__(self, yunet: Path) -> None:
        if not yunet.is_file():
            raise DatasetError(f"There is no YuNet at {yunet}; get face_detection_yunet from OpenCV's model zoo.")
        cv2.setNumThreads(1)
        self._yunet = cv2.FaceDetectorYN.create(str(yunet), "", (320, 320), score_threshold=_PERHAPS)
        self._reader = SmileRecognizer()

    def faces(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All faces in uint8 `(h, w)`: float32 `(k, 13)` as in `Pictures`, and which of them are sure, bool `(k,)`."""
        found = np.empty((0, 15), np.float32)
        for longest in _LOOKS:
            seen = self._look(gray, longest)
            if seen[:, 14].max(initial=0) > found[:, 14].max(initial=0):
                found = seen
            if found[:, 14].max(initial=0) >= 0.85:
                break
        rows = [self._refined(gray, row[4:14].reshape(5, 2)) for row in found]
        return np.array(rows, np.float32).reshape(-1, _FIELDS), found[:, 14] >= _SURE

    def _look(self, gray: np.ndarray, longest: int) -> np.ndarray:
        room = round(max(gray.shape) * _ROOM)
        roomy = cv2.copyMakeBorder(gray, room, room, room, room, cv2.BORDER_REPLICATE)
        scale = longest / max(roomy.shape)
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.cvtColor(cv2.resize(roomy, None, fx=scale, fy=scale, interpolation=kind), cv2.COLOR_GRAY2BGR)
        self._yunet.setInputSize((scaled.shape[1], scaled.shape[0]))
        _, found = self._yunet.detect(scaled)
        if found is None:
            return np.empty((0, 15), np.float32)
        found = np.hstack([found[:, :14] / scale, found[:, 14:]])
        found[:, [0, 1, *range(4, 14)]] -= room
        return found

    def _refined(self, gray: np.ndarray, points: np.ndarray) -> np.ndarray:
        box, angle = align(points)
        sight = look(gray, box, angle, self._reader)
        ratio = sight.box.height / max(1, box.height)
        alike = distance(sight.box, box) < _MOST_SHIFT and 1 / _MOST_SIZE < ratio < _MOST_SIZE
        if sight.presence >= PRESENCE_THRESHOLD and alike:  # else one is wrong, and YuNet has seen the whole picture
            points = sight.points
        center, side, _ = align_exactly(points)
        return np.concatenate([center, [side], points.ravel()])


def read_pictures(
    paths: list[Path], split: dict[tuple[str, str], tuple[int, str]], yunet: Path, *, workers: int = 2
) -> Pictures:
    """All pictures of the sets with the teachers' marks. A set called `backgrounds` has no faces.

    `split`: the parts of pictures that the smile network's dataset also knows. Raises DatasetError.
    """
    read = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_hire, initargs=(yunet,)) as pool:
        for path in paths:
            jobs = [(path.stem, name, data) for name, data in _images(path)]
            found = tqdm(pool.map(_taught, jobs, chunksize=32), total=len(jobs), desc=path.stem, disable=None)
            for (source, name, _), result in zip(jobs, found, strict=True):
                if result is not None:
                    read.append((source, name, part_of(source, name, split), *result))
            print(f"{path.stem}: {len(jobs)} pictures", flush=True)
    if not read:
        raise DatasetError("No picture with a face was found; name sets of photos.")
    return without_copies(Pictures.of(read))


def part_of(source: str, name: str, split: dict[tuple[str, str], tuple[int, str]]) -> str:
    """`train`, `val` or `test`: as in the smile network's dataset if that knows the picture, else by its name.

    If a known set should know a picture but does not, it is not trained on: nobody ever checked whom it shows.
    """
    known = {"getty_originals_sample": "getty_faces"}.get(source, source)
    if (known, name) in split:
        return split[known, name][1]
    if any(other == known for other, _ in split):
        return "unknown"
    share = zlib.crc32(f"{source}/{name}".encode()) % 100
    return "train" if share < 80 else "val" if share < 86 else "test"


def _images(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                parts = PurePosixPath(member).parts
                if PurePosixPath(member).suffix.lower() in PHOTO_SUFFIXES:
                    yield "/".join(parts[-2:] if len(parts) > 2 else parts[-1:]), archive.read(member)
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} is not a zip of pictures; name zips such as genki.zip.") from error


_teacher: Any = None  # of this worker process


def _hire(yunet: Path) -> None:
    global _teacher
    _teacher = Teacher(yunet)


def _taught(job: tuple[str, str, bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    source, _, data = job
    gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if gray is None:
        return None
    if source in _UNSQUASHED:
        gray = cv2.resize(gray, _UNSQUASHED[source], interpolation=cv2.INTER_CUBIC)
    scale = min(1.0, _LONGEST / max(gray.shape))
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if source == BACKGROUNDS:
        return gray, np.empty((0, _FIELDS), np.float32), np.empty(0, bool)
    faces, sure = _teacher.faces(gray)
    return (gray, faces, sure) if sure.any() else None
