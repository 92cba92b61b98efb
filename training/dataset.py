"""Photos or crops in, one dataset file and a manifest out.

    python -m training.dataset ../shared/data/*.zip --out datasets/faces
    python -m training.dataset my_photos/ --out datasets/mine        # my_photos/smile, my_photos/no_smile
    python -m training.dataset ../shared/data/*.zip --decisions datasets/decisions.csv   # from training.relabel

Each face is found with the app's own detector, cut with the app's own crop, turned grey and resized to 64x64. Exact and
near-copies are joined into groups, over all sets, and so are pictures of one person, in each set; whole groups go to
training (80 %), validation (8 %, for choosing) or test (12 %, looked at only to report). Near-copies with opposite labels
are left out, since one of the two labels must be wrong, and put aside in OUT.contested.npz, for a person to decide. Photos
also give crops without a face, for the presence output.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from csv_lines import csv_writer
from errors import DatasetError, SmileError
from training.contested import contested_file, near_copies, opposite, settle, without_contested
from training.decisions import Decision, Key, apply_decisions, count_decisions, digest_of, in_words, read_decisions
from training.faces import NO_LABEL, SPLITS, Faces, save_arrays
from training.grouping import connected_groups, describe_person, person_pairs
from training.reading import Crop, read_picture
from training.sources import Picture, Source, find_source, iterate_images, person_in_name
from training.splits import read_split

SHARES = (0.80, 0.08, 0.12)
_LARGE_GROUP = 0.01  # of its set: such a group would be a validation or test part of its own


def read_set(path: Path, source: Source, *, workers: int = 2) -> tuple[Faces, dict[str, int]]:
    """All faces of one set, not yet grouped or split, and counts of what was left out (`unreadable`, `no_face`).

    A background crop of picture NAME is called `NAME#0`, `NAME#1`... and has no smile label.
    """
    pictures = list(iterate_images(path, source))
    jobs = [(source, picture) for picture in pictures]
    with _workers(workers) as pool:
        read = list(tqdm(pool.map(_read, jobs, chunksize=32), total=len(jobs), desc=f"{source.name}: faces", disable=None))
    left_out = Counter(result for result in read if isinstance(result, str))
    crops: list[Crop] = []
    rows: list[tuple[str, int, int]] = []  # name, smile, face
    for picture, result in zip(pictures, read, strict=True):
        if isinstance(result, str):
            continue
        crops += [result[0], *result[1]]
        rows.append((picture.name, picture.smile, 1))
        rows += [(f"{picture.name}#{i}", NO_LABEL, 0) for i in range(len(result[1]))]
    if not crops:
        raise DatasetError(f"No face could be found in any picture of {path}; tight crops need --cropped.")
    return Faces(
        gray=np.stack([crop.gray for crop in crops]),
        wide=np.stack([crop.wide for crop in crops]),
        smile=np.array([row[1] for row in rows], np.int8),
        face=np.array([row[2] for row in rows], np.uint8),
        landmarks=np.stack([crop.landmarks for crop in crops]),
        shape68=np.stack([crop.shape68 for crop in crops]),
        source=np.full(len(rows), source.name),
        name=np.array([row[0] for row in rows]),
        group=np.arange(len(rows)),
        split=np.full(len(rows), "train"),
    ), dict(left_out)


def _read(job: tuple[Source, Picture]) -> tuple[Crop, list[Crop]] | str:
    source, picture = job
    return read_picture(source, picture.name, picture.data, picture.points)


def _workers(count: int) -> ProcessPoolExecutor:
    # Fresh processes: a forked copy of one in which TensorFlow or OpenCV has threads may wait for ever.
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def group_faces(
    faces: Faces,
    sources: dict[str, Source],
    cache: Path,
    workers: int = 2,
    near: np.ndarray | None = None,
) -> tuple[Faces, dict[str, dict[str, int]]]:
    """Joins near-copies and persons into groups and drops exact copies and near-copies with opposite labels.

    Returns the grouped faces and counts for each set. `cache`: a folder for descriptors, which take minutes. `near`: the
    index pairs of near-copies, where they are known already.
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
    keys = np.char.add(np.char.add(faces.source, "/"), _photo_names(faces))
    return _chained(np.arange(len(faces)), np.unique(keys, return_inverse=True)[1])


def _photo_names(faces: Faces) -> np.ndarray:
    """The name of each crop's picture, str `(n,)`."""
    named = zip(faces.name, faces.face, strict=True)
    return np.array([name if face else name.rpartition("#")[0] for name, face in named])


def _chained(rows: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Pairs `(m, 2)` that join the rows with equal keys, each to the next."""
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    return np.stack([rows[order][:-1][same], rows[order][1:][same]], axis=1)


def _descriptors(crops: np.ndarray, digests: np.ndarray, cache: Path, workers: int) -> np.ndarray:
    """Descriptors `(n, 128)`, kept in `cache` as they are made, since they take minutes."""
    known: dict[str, np.ndarray] = {}
    if cache.is_file():
        with np.load(cache) as data:
            known = dict(zip(data["digests"].tolist(), data["descriptors"], strict=True))
    todo = [i for i, digest in enumerate(digests) if digest not in known]
    if todo:
        bar = tqdm(total=len(todo), desc=f"{cache.stem}: persons", disable=None)
        with _workers(workers) as pool:
            for start in range(0, len(todo), 2000):
                part = todo[start : start + 2000]
                for i, descriptor in zip(part, pool.map(describe_person, crops[part], chunksize=16), strict=True):
                    known[digests[i]] = descriptor
                    bar.update()
                save_arrays(cache, {"digests": np.array(list(known)), "descriptors": np.stack(list(known.values()))})
    return np.stack([known[digest] for digest in digests])


def split_groups(faces: Faces, *, seed: int) -> Faces:
    """Deals whole groups to train, val and test so that each set and label keeps its shares, as near as groups allow."""
    rng = np.random.default_rng(seed)
    groups, index = np.unique(faces.group, return_inverse=True)
    strata, stratum = np.unique([f"{s}/{y}" for s, y in zip(faces.source, faces.smile, strict=True)], return_inverse=True)
    counts = np.zeros((len(groups), len(strata)))
    np.add.at(counts, (index, stratum), 1)
    total = counts.sum(axis=0)  # (strata,)
    wanted = np.outer(SHARES, total)  # (3, strata)
    held = np.zeros_like(wanted)
    side = np.zeros(len(groups), int)
    set_of = np.array([name.rpartition("/")[0] for name in strata])
    set_total = np.array([total[set_of == name].sum() for name in set_of])
    large = np.any((counts > _LARGE_GROUP * set_total) & (counts > 20), axis=1)
    # Largest groups first, each to the side that lacks most of it; the shuffle decides among equals.
    order = rng.permutation(len(groups))
    for g in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        lack = ((wanted - held) / np.maximum(wanted, 1)) @ counts[g]
        if large[g]:
            side[g] = 0
        # Small groups: at random by share, which keeps the sides alike in everything that was not counted.
        elif counts[g].sum() <= 3:
            room = np.maximum(lack, 0) * SHARES
            side[g] = rng.choice(3, p=room / room.sum()) if room.sum() > 0 else int(np.argmax(lack))
        else:
            side[g] = int(np.argmax(lack))
        held[side[g]] += counts[g]
    return Faces(**{**faces.fields(), "split": np.array(SPLITS)[side[index]]})


def build_dataset(
    paths: list[Path],
    out: Path,
    *,
    seed: int = 0,
    cropped: bool = False,
    workers: int = 2,
    split: Path | None = None,
    decisions: Path | None = None,
) -> Faces:
    """Reads every set, groups and splits, and writes `out.npz`, `out.csv` and `out.json`. Raises DatasetError.

    `split`: a manifest of an earlier run, whose groups and sides are taken over instead of looking for copies and persons.
    `decisions`: a table of `training.relabel`, followed in the training part, and for near-copies with opposite labels.
    """
    decided = read_decisions(decisions) if decisions else {}
    digest = digest_of(decisions) if decisions else ""
    if not paths:
        raise DatasetError("Name at least one set: a folder or zip with folders smile and no_smile.")
    parts: list[Faces] = []
    sources: dict[str, Source] = {}
    report: dict[str, dict] = {}
    for path in paths:
        source = find_source(path, cropped=cropped)
        if source.name in sources:
            raise DatasetError(f"Two sets are called {source.name}; rename one of them.")
        print(f"{path}: {'tight crops' if source.cropped else 'photos'}", flush=True)
        faces, left_out = read_set(path, source, workers=workers)
        parts.append(faces)
        sources[source.name] = source
        report[source.name] = {"pictures": int((faces.face == 1).sum()) + sum(left_out.values()), **left_out}
    whole = Faces.join(parts)
    if split is None:
        whole, near, contested = settle(whole, near_copies(whole, sources), decided)
        settled = contested
        whole, counts = group_faces(whole, sources, out.parent / "descriptors", workers, near)
        whole = split_groups(whole, seed=seed)
        for name, entry in counts.items():
            report[name].update(entry)
    else:
        whole, contested, settled = _split_again(whole, split, sources, decided)
    whole, followed = _decided(whole, decided, contested, settled)
    for name in sources:
        here = whole.where((whole.source == name) & (whole.face == 1))
        known = here.labelled()
        report[name].update({side: int((here.split == side).sum()) for side in SPLITS})
        if len(known):
            report[name]["smiling"] = round(float(known.smile.mean()), 3)
        report[name]["backgrounds"] = int(((whole.source == name) & (whole.face == 0)).sum())
        print(f"{name}: {report[name]}", flush=True)
    whole.save(out.with_suffix(".npz"))
    contested.save(contested_file(out.with_suffix(".npz")))
    record: dict[str, Any] = {"seed": seed, "sets": report}
    if decisions:
        record["decisions"] = {"file": decisions.name, "sha256": digest, **followed}
        print("\n".join([f"{len(decided)} decisions in {decisions}", *in_words(followed)]), flush=True)
    out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(["source", "name", "smile", "group", "split"])
        writer.writerows(zip(whole.source, whole.name, whole.smile, whole.group, whole.split, strict=True))
    return whole


def _decided(faces: Faces, decisions: dict[Key, Decision], contested: Faces, settled: Faces) -> tuple[Faces, dict[str, Any]]:
    """The faces with decisions followed, now that the parts are known, and what that came to.

    `settled`: of `contested`, those on which decisions have been followed already, whatever their part.
    """
    others = without_contested(decisions, contested)
    counts = count_decisions(faces, others)
    counts["near_copies"] = len(decisions) - len(without_contested(decisions, settled))
    counts["near_copies_left_out"] = len(decisions) - len(others) - counts["near_copies"]
    return apply_decisions(faces, others), counts


def _split_again(
    faces: Faces, manifest: Path, sources: dict[str, Source], decisions: dict[Key, Decision]
) -> tuple[Faces, Faces, Faces]:
    """The faces that the manifest names, the near-copies with opposite labels, and those of them that it knows of.

    A manifest may come from a dataset in which near-copies were settled: the decisions on these hold in every part.
    """
    if not decisions:
        named, others = _as_split(faces, manifest)
        return named, others.where(opposite(near_copies(others, sources), others.smile)), others.where(np.empty(0, int))
    pairs = near_copies(faces, sources)
    known = _named(faces, read_split(manifest))
    touched = known[pairs].any(axis=1)
    after, left, settled = settle(faces, pairs[touched], decisions)
    agreed = after.where(np.setdiff1d(np.arange(len(after)), opposite(left, after.smile)))
    left_out = faces.where(np.setdiff1d(opposite(pairs, faces.smile), opposite(pairs[touched], faces.smile)))
    return _as_split(agreed, manifest)[0], Faces.join([settled, left_out]), settled


def _as_split(faces: Faces, manifest: Path) -> tuple[Faces, Faces]:
    """The faces that the manifest names, with their groups and sides, and the others."""
    rows = read_split(manifest)
    known = _named(faces, rows)
    strangers = sorted(set(faces.source.tolist()) - set(faces.source[known].tolist()))
    if strangers:
        raise DatasetError(
            f"{manifest} names no picture of {', '.join(strangers)}; leave --split away, or these sets, to split anew."
        )
    faces, others = faces.where(known), faces.where(~known)
    found = [rows[key] for key in _photo_keys(faces)]
    placed = {"group": np.array([f[0] for f in found]), "split": np.array([f[1] for f in found])}
    return Faces(**{**faces.fields(), **placed}), others


def _named(faces: Faces, rows: dict[Key, tuple[int, str]]) -> np.ndarray:
    """Which faces, bool `(n,)`, a manifest's rows name."""
    return np.array([key in rows for key in _photo_keys(faces)], bool)


def _photo_keys(faces: Faces) -> list[Key]:
    return list(zip(faces.source.tolist(), _photo_names(faces).tolist(), strict=True))  # a background goes with its photo


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.dataset", description="Build a dataset of face crops.")
    parser.add_argument("sets", nargs="+", type=Path, help="folders or zips with class folders smile and no_smile")
    parser.add_argument("--out", type=Path, default=Path("datasets/faces"), help="writes OUT.npz, OUT.csv, OUT.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cropped", action="store_true", help="own pictures are tight face crops already")
    parser.add_argument("--split", type=Path, help="take groups and sides from this OUT.csv (or .csv.gz) of an earlier run")
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="change labels and drop faces as `training.relabel` wrote"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    try:
        build_dataset(
            options.sets,
            options.out,
            seed=options.seed,
            cropped=options.cropped,
            workers=max(1, options.workers),
            split=options.split,
            decisions=options.decisions,
        )
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The dataset could not be written: {error}.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
