"""Photos or crops in, one dataset file and a manifest out.

    python -m training.dataset ../shared/data/*.zip --out datasets/faces
    python -m training.dataset my_photos/ --out datasets/mine        # my_photos/smile, my_photos/no_smile

Each face is found with the app's own detector, cut with the app's own crop, turned grey and resized to 64x64. Exact and
near-copies are joined into groups, and so are pictures of one person; whole groups go to training (80 %), validation (8 %,
for choosing) or test (12 %, looked at only to report). Groups that hold both labels for near-copies are dropped: one of
the two labels must be wrong.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import sys
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from errors import DatasetError, SmileError
from face_detection import create_detector
from smile_recognition import CROP_SIZE, crop_face
from training.grouping import connected_groups, describe_person, duplicate_pairs, person_pairs
from training.sources import Source, find_source, iterate_images

SPLITS = ("train", "val", "test")
SHARES = (0.80, 0.08, 0.12)


@dataclass(frozen=True)
class Faces:
    """A dataset: n face crops and what is known of each.

    `gray` uint8 `(n, 64, 64)`; `smile` uint8 `(n,)`; `source`, `name`, `split` str `(n,)`; `group` int `(n,)`.
    """

    gray: np.ndarray
    smile: np.ndarray
    source: np.ndarray
    name: np.ndarray
    group: np.ndarray
    split: np.ndarray

    def part(self, split: str, source: str | None = None) -> Faces:
        """The faces of one split, of one source if given."""
        chosen = self.split == split
        if source is not None:
            chosen &= self.source == source
        return Faces(*(getattr(self, field)[chosen] for field in self.__dataclass_fields__))

    def save(self, path: Path) -> None:
        _save_whole(path, {field: getattr(self, field) for field in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> Faces:
        """Raises DatasetError when the file is missing or no dataset."""
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(*(data[field] for field in cls.__dataclass_fields__))
        except FileNotFoundError as error:
            raise DatasetError(f"There is no dataset at {path}; make it with `python -m training.dataset`.") from error
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{path} is not a dataset; make it again with `python -m training.dataset`.") from error


def _save_whole(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A kill leaves the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def read_set(path: Path, source: Source, *, workers: int = 2) -> tuple[Faces, dict[str, int]]:
    """All faces of one set, not yet grouped or split, and counts of what was left out (`unreadable`, `no_face`)."""
    images = list(iterate_images(path, source))
    with _workers(workers) as pool:
        crops = list(
            tqdm(
                pool.map(partial(_crop_bytes, source), (data for _, _, data in images), chunksize=32),
                total=len(images),
                desc=f"{source.name}: faces",
                disable=None,
            )
        )
    kept = [i for i, crop in enumerate(crops) if isinstance(crop, np.ndarray)]
    left_out = Counter(crop for crop in crops if isinstance(crop, str))
    faces = Faces(
        gray=np.stack([crops[i] for i in kept]) if kept else np.empty((0, CROP_SIZE, CROP_SIZE), np.uint8),
        smile=np.array([images[i][1] for i in kept], np.uint8),
        source=np.full(len(kept), source.name),
        name=np.array([images[i][0] for i in kept], str),
        group=np.arange(len(kept)),
        split=np.full(len(kept), "train"),
    )
    return faces, dict(left_out)


def _workers(count: int) -> ProcessPoolExecutor:
    # Fresh processes: a forked copy of one in which TensorFlow or OpenCV has threads may wait for ever.
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def _crop_bytes(source: Source, data: bytes) -> np.ndarray | str:
    try:
        gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    except cv2.error:  # a header that asks for more pixels than OpenCV will hold
        gray = None
    if gray is None:
        return "unreadable"
    if source.cropped:
        return crop_face(gray, (0, gray.shape[1], gray.shape[0], 0))
    if source.scale != (1.0, 1.0):
        gray = cv2.resize(gray, None, fx=source.scale[0], fy=source.scale[1], interpolation=cv2.INTER_CUBIC)
    cv2.setNumThreads(1)
    boxes = _detector().detect(gray, min_face=40)
    return crop_face(gray, boxes[0]) if boxes else "no_face"


def _detector(cached: list = []):  # noqa: B006 - one detector for each worker process
    if not cached:
        cached.append(create_detector("face_recognition"))
    return cached[0]


def group_faces(faces: Faces, *, persons: bool, cache: Path, workers: int = 2) -> tuple[Faces, dict[str, int]]:
    """Joins near-copies and persons into groups and drops exact copies and near-copies with opposite labels."""
    n = len(faces.gray)
    pairs = duplicate_pairs(faces.gray)
    opposite = faces.smile[pairs[:, 0]] != faces.smile[pairs[:, 1]]
    contested = np.unique(pairs[opposite])
    digests = [hashlib.sha256(crop.tobytes()).hexdigest() for crop in faces.gray]
    first = {digest: i for i, digest in reversed(list(enumerate(digests)))}
    copies = [i for i, digest in enumerate(digests) if first[digest] != i]
    drop = np.zeros(n, bool)
    drop[contested] = drop[copies] = True
    if persons:
        descriptors = _descriptors(faces.gray, digests, cache, workers)
        pairs = np.concatenate([pairs, person_pairs(descriptors)])
    group = connected_groups(n, pairs)
    grouped = Faces(faces.gray, faces.smile, faces.source, faces.name, group, faces.split)
    counts = {
        "near_copy_pairs": len(opposite),
        "near_copy_pairs_with_opposite_labels": int(opposite.sum()),
        "exact_copies": len(copies),
        "dropped": int(drop.sum()),
        "groups": int(group.max() + 1) if n else 0,
        "largest_group": int(np.bincount(group).max()) if n else 0,
    }
    return Faces(*(getattr(grouped, field)[~drop] for field in Faces.__dataclass_fields__)), counts


def _descriptors(crops: np.ndarray, digests: list[str], cache: Path, workers: int) -> np.ndarray:
    """Descriptors `(n, 128)`, kept in `cache` as they are made, since they take minutes."""
    known: dict[str, np.ndarray] = {}
    if cache.is_file():
        with np.load(cache) as data:
            known = dict(zip(data["digests"].tolist(), data["descriptors"], strict=True))
    todo = [i for i, digest in enumerate(digests) if digest not in known]
    bar = tqdm(total=len(todo), desc=f"{cache.stem}: persons", disable=None)
    with _workers(workers) as pool:
        for start in range(0, len(todo), 2000):
            part = todo[start : start + 2000]
            for i, descriptor in zip(part, pool.map(describe_person, crops[part], chunksize=16), strict=True):
                known[digests[i]] = descriptor
                bar.update()
            _save_whole(cache, {"digests": np.array(list(known)), "descriptors": np.stack(list(known.values()))})
    return np.stack([known[digest] for digest in digests])


def split_groups(faces: Faces, *, seed: int) -> Faces:
    """Deals whole groups to train, val and test so that each keeps its share of every label, as near as groups allow."""
    rng = np.random.default_rng(seed)
    groups, index = np.unique(faces.group, return_inverse=True)
    counts = np.stack([np.bincount(index, faces.smile == label, len(groups)) for label in (0, 1)], axis=1)  # (g, 2)
    wanted = np.outer(SHARES, counts.sum(axis=0))  # (3, 2)
    held = np.zeros_like(wanted)
    side = np.zeros(len(groups), int)
    # Largest groups first, each to the side that lacks most of it; the shuffle decides among equals.
    order = rng.permutation(len(groups))
    for g in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        lack = ((wanted - held) / np.maximum(wanted, 1)) @ counts[g]
        # Small groups: at random by share, which keeps the sides alike in everything that was not counted.
        if counts[g].sum() <= 2:
            room = np.maximum(lack, 0) * SHARES
            side[g] = rng.choice(3, p=room / room.sum()) if room.sum() > 0 else int(np.argmax(lack))
        else:
            side[g] = int(np.argmax(lack))
        held[side[g]] += counts[g]
    return Faces(faces.gray, faces.smile, faces.source, faces.name, faces.group, np.array(SPLITS)[side[index]])


def build_dataset(paths: list[Path], out: Path, *, seed: int = 0, cropped: bool = False, workers: int = 2) -> Faces:
    """Reads every set, groups and splits each, and writes `out.npz`, `out.csv` and `out.json`. Raises DatasetError."""
    if not paths:
        raise DatasetError("Name at least one set: a folder or zip with folders smile and no_smile.")
    parts: list[Faces] = []
    report: dict[str, dict] = {}
    for path in paths:
        source = find_source(path, cropped=cropped)
        print(f"{path}: {'tight crops' if source.cropped else 'photos'}, {source.classes}", flush=True)
        faces, left_out = read_set(path, source, workers=workers)
        if not len(faces.gray):
            raise DatasetError(f"No face could be found in any picture of {path}; tight crops need --cropped.")
        cache = out.parent / "descriptors" / f"{source.name}.npz"
        faces, counts = group_faces(faces, persons=source.persons, cache=cache, workers=workers)
        faces = split_groups(faces, seed=seed)
        offset = max((int(part.group.max()) + 1 for part in parts), default=0)
        parts.append(Faces(faces.gray, faces.smile, faces.source, faces.name, faces.group + offset, faces.split))
        sizes = {split: int((faces.split == split).sum()) for split in SPLITS}
        report[source.name] = {**sizes, "smiling": round(float(faces.smile.mean()), 3), **left_out, **counts}
        print(f"{source.name}: {report[source.name]}", flush=True)
    whole = Faces(*(np.concatenate([getattr(part, field) for part in parts]) for field in Faces.__dataclass_fields__))
    whole.save(out.with_suffix(".npz"))
    out.with_suffix(".json").write_text(json.dumps({"seed": seed, "sets": report}, indent=1) + "\n")
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["source", "name", "smile", "group", "split"])
        writer.writerows(zip(whole.source, whole.name, whole.smile, whole.group, whole.split, strict=True))
    return whole


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.dataset", description="Build a dataset of face crops.")
    parser.add_argument("sets", nargs="+", type=Path, help="folders or zips with class folders smile and no_smile")
    parser.add_argument("--out", type=Path, default=Path("datasets/faces"), help="writes OUT.npz, OUT.csv, OUT.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cropped", action="store_true", help="own pictures are tight face crops already")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    try:
        build_dataset(options.sets, options.out, seed=options.seed, cropped=options.cropped, workers=max(1, options.workers))
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The dataset could not be written: {error}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
