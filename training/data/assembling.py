"""Join faces that belong together into groups, and deal each group to a part of the dataset."""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import DatasetError
from training.data.faces import SPLITS, Faces, load_rows, save_arrays
from training.data.grouping import connected_groups, describe_person, near_copies, opposite, person_pairs
from training.data.sources import Source, person_in_name

SHARES = (0.80, 0.08, 0.12)
# A validation part of a few faces would choose by luck; where there are few, cross-validation takes its place. And where a
# test part would be as small, too, there is none.
FEW, HARDLY_ANY = 100, 20  # labelled faces of the rarer class
_SHARES_OF_FEW = (0.75, 0.0, 0.25)
_SHARES_OF_HARDLY_ANY = (1.0, 0.0, 0.0)
_LARGE_GROUP = 0.01  # share of its set: such a group would fill a validation or test part alone


def worker_processes(count: int) -> ProcessPoolExecutor:
    # Fresh processes: a forked copy of a process with TensorFlow's or OpenCV's threads may wait for ever.
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def group_faces(
    faces: Faces,
    sources: dict[str, Source],
    cache: Path,
    workers: int = 2,
    near: np.ndarray | None = None,
) -> tuple[Faces, dict[str, dict[str, int]]]:
    """Joins near-copies and persons into groups. Drops exact copies, and near-copies with opposite labels.

    Returns the grouped faces and counts for each set. `cache`: a folder for descriptors, which take minutes. `near`: the
    index pairs of near-copies, if they are known already.
    """
    n = len(faces)
    digests = np.array([hashlib.sha256(crop.tobytes()).hexdigest() for crop in faces.gray])
    near = near_copies(faces, sources) if near is None else near
    pairs = [_same_picture(faces), near]
    contested = opposite(near, faces.smile)
    _, first = np.unique(digests, return_index=True)
    drop = np.ones(n, bool)
    drop[first] = False
    exact = drop.copy()
    drop[contested] = True
    for name, source in sources.items():
        rows = np.flatnonzero((faces.source == name) & (faces.face == 1))
        if source.points_file:
            _, person = np.unique([person_in_name(value) for value in faces.name[rows]], return_inverse=True)
            pairs.append(_chained(rows, person))
        elif source.person_distance:
            descriptors = _descriptors(faces.gray[rows], digests[rows], cache / f"{name}.npz", workers)
            pairs.append(rows[person_pairs(descriptors, source.person_distance)])
    group = connected_groups(n, np.concatenate(pairs))
    counts = {}
    for name in sources:
        here = (faces.source == name) & (faces.face == 1)
        sizes = np.bincount(group[here])
        counts[name] = {
            "exact_copies": int((exact & here).sum()),
            "near_copies_with_opposite_labels": int(np.isin(np.flatnonzero(here), contested).sum()),
            "groups": int((sizes > 0).sum()),
            "largest_group": int(sizes.max(initial=0)),
        }
    faces = Faces(**{**faces.fields(), "group": group})
    return faces.where(~drop), counts


def _same_picture(faces: Faces) -> np.ndarray:
    """Pairs that tie the backgrounds of a photo to its face."""
    keys = np.char.add(np.char.add(faces.source, "/"), photo_names(faces))
    return _chained(np.arange(len(faces)), np.unique(keys, return_inverse=True)[1])


def photo_names(faces: Faces) -> np.ndarray:
    """The name of each crop's picture, str `(n,)`."""
    named = zip(faces.name, faces.face, strict=True)
    return np.array([name if face else name.rpartition("#")[0] for name, face in named])


def _chained(rows: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Pairs `(m, 2)` that join the rows with equal keys, each to the next."""
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    return np.stack([rows[order][:-1][same], rows[order][1:][same]], axis=1)


def _descriptors(crops: np.ndarray, digests: np.ndarray, cache: Path, workers: int) -> np.ndarray:
    """Descriptors `(n, 128)`. They take minutes, so each goes into `cache` once it is made."""
    known: dict[str, np.ndarray] = {}
    with suppress(OSError, ValueError):  # not there yet, or damaged: then all are made anew
        cached = load_rows(cache, {"digests": (), "descriptors": (128,)})
        known = dict(zip(cached["digests"].tolist(), cached["descriptors"], strict=True))
    todo = [i for i, digest in enumerate(digests) if digest not in known]
    if todo:
        bar = tqdm(total=len(todo), desc=f"{cache.stem}: persons", disable=None)
        with worker_processes(workers) as pool:
            for start in range(0, len(todo), 2000):
                part = todo[start : start + 2000]
                for i, descriptor in zip(part, pool.map(describe_person, crops[part], chunksize=16), strict=True):
                    known[digests[i]] = descriptor
                    bar.update()
                save_arrays(cache, {"digests": np.array(list(known)), "descriptors": np.stack(list(known.values()))})
    return np.stack([known[digest] for digest in digests])


def counts_by_class(faces: Faces) -> tuple[int, int]:
    """How many labelled faces smile, and how many don't."""
    return int((faces.smile == 1).sum()), int((faces.smile == 0).sum())


def shares_for(faces: Faces) -> tuple[float, float, float]:
    """The shares of train, val and test that suit a dataset of this size."""
    rarer = min(counts_by_class(faces))
    if not (faces.smile >= 0).any():  # only points to learn
        return SHARES
    return SHARES if rarer >= FEW else _SHARES_OF_FEW if rarer >= HARDLY_ANY else _SHARES_OF_HARDLY_ANY


def shortage(faces: Faces) -> str:
    """What the dataset is too small for, and what to do, in one sentence; empty if it is large enough. Raises DatasetError
    if a class has no face.
    """
    smiling, serious = counts_by_class(faces)
    if not smiling + serious:
        return ""
    for count, name in ((smiling, "smile"), (serious, "no_smile")):
        if not count:
            raise DatasetError(f"No face was found in the pictures of {name}; a network needs faces of both classes.")
    if min(smiling, serious) >= HARDLY_ANY and not (faces.part("test").smile >= 0).any():
        return (
            "Nearly all photos seem to show one person, or are copies of each other: all are for training, which judges "
            "itself by photos of the same person; other people's photos would make a test part."
        )
    so_few = f"There are {smiling} smiling and {serious} other faces"
    if min(smiling, serious) < HARDLY_ANY:
        return f"{so_few}: all are for training, which judges itself; with {HARDLY_ANY} of each there is a test part."
    if min(smiling, serious) < FEW:
        return (
            f"{so_few}: a quarter of them is the test part, and training judges itself by the others; with {FEW} of each "
            "there is a validation part, too, which training --from-scratch needs."
        )
    return ""


def split_groups(faces: Faces, *, seed: int, shares: tuple[float, float, float] = SHARES) -> Faces:
    """Deals whole groups to train, val and test. Each set and label keeps its shares, as nearly as groups allow."""
    rng = np.random.default_rng(seed)
    groups, index = np.unique(faces.group, return_inverse=True)
    strata, stratum = np.unique([f"{s}/{y}" for s, y in zip(faces.source, faces.smile, strict=True)], return_inverse=True)
    counts = np.zeros((len(groups), len(strata)))
    np.add.at(counts, (index, stratum), 1)
    total = counts.sum(axis=0)  # (strata,)
    wanted = np.outer(shares, total)  # (3, strata)
    held = np.zeros_like(wanted)
    side = np.zeros(len(groups), int)
    set_of = np.array([name.rpartition("/")[0] for name in strata])
    set_total = np.array([total[set_of == name].sum() for name in set_of])
    large = np.any((counts > _LARGE_GROUP * set_total) & (counts > 20), axis=1)
    # Largest groups first, each to the side that lacks most. The shuffle decides among equals.
    order = rng.permutation(len(groups))
    for g in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        lack = ((wanted - held) / np.maximum(wanted, 1)) @ counts[g]
        if large[g]:
            side[g] = 0
        # Small groups: at random by share, so that the sides stay alike in everything that was not counted.
        elif counts[g].sum() <= 3:
            room = np.maximum(lack, 0) * shares
            side[g] = rng.choice(3, p=room / room.sum()) if room.sum() > 0 else int(np.argmax(lack))
        else:
            side[g] = int(np.argmax(lack))
        held[side[g]] += counts[g]
    return Faces(**{**faces.fields(), "split": np.array(SPLITS)[side[index]]})


def deal_folds(groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold, int `(n,)` from 0 to folds - 1, for group numbers `(n,)`: one for a whole group, with about as many groups
    in each.
    """
    unique, index = np.unique(groups, return_inverse=True)
    dealt = np.random.default_rng(seed).permutation(len(unique)) % folds
    return dealt[index]
