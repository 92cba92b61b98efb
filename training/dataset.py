"""Turn photos or crops into one dataset file and a manifest.

    python -m training.dataset ../shared/data/*.zip --out datasets/faces
    python -m training.dataset my_photos/ --out datasets/mine        # my_photos/smile, my_photos/no_smile
    python -m training.dataset ../shared/data/*.zip --decisions datasets/decisions.csv   # from training.relabel

Each face is found with the app's own detector, cut with the app's own crop, turned grey and resized to 64x64. Exact and
near-copies are joined into groups, over all sets, and so are pictures of one person, in each set; whole groups go to
training (80 %), validation (8 %, for choosing) or test (12 %, looked at only to report), and of few faces fewer parts are
made. Near-copies with opposite labels are left out, since one of the two labels must be wrong, and put aside in
OUT.contested.npz, for a person to decide. Photos also give crops without a face, for the presence output. What
`getty_scraper` gathered keeps its origin: creator and licence of each picture stand in OUT.csv, their counts in OUT.json,
and the near-copies that it found are near-copies here, too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from common.commands import command, said_plainly
from common.csv_lines import csv_writer, harmless
from common.errors import DatasetError
from common.whole_files import replacing, write_whole
from training.data import assembling
from training.data.assembling import group_faces, photo_names, shares_for, shortage, split_groups
from training.data.faces import NO_LABEL, SPLITS, Faces
from training.data.grouping import near_copies, opposite
from training.data.origins import NO_ORIGIN, Origin, gathered_copies, read_origins, summary
from training.data.reading import Crop, read_picture
from training.data.sources import Picture, Source, find_source, iterate_images
from training.data.splits import read_split
from training.labels.contested import contested_file, settle, without_contested
from training.labels.decisions import Decision, Key, apply_decisions, count_decisions, digest_of, in_words, read_decisions
from training.quiet import tensorflow_quiet

_ORIGIN = ("creator", "credit", "licence", "licence_page")  # columns of the table


def read_set(path: Path, source: Source, *, workers: int = 2) -> tuple[Faces, dict[str, int]]:
    """All faces of one set, not yet grouped or split, and counts of what was left out (`unreadable`, `no_face`).

    A background crop of picture NAME is called `NAME#0`, `NAME#1`... and has no smile label.
    """
    pictures = list(iterate_images(path, source))
    jobs = [(source, picture) for picture in pictures]
    with assembling.worker_processes(workers) as pool:
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
    """Reads every set, groups and splits the faces, and writes `out.npz`, `out.csv` and `out.json`. Raises DatasetError.

    `split`: the manifest of an earlier run. Its groups and sides are taken over, and nobody looks for copies and persons.
    `decisions`: a table of `training.relabel`. It is followed in the training part, and for near-copies with opposite
    labels.
    """
    decided = read_decisions(decisions) if decisions else {}
    sets = _read_sets(paths, cropped=cropped, workers=workers)
    whole, sources = sets.faces, sets.sources
    if split is None:
        near = np.unique(np.concatenate([near_copies(whole, sources), gathered_copies(whole, sets.origins)]), axis=0)
        whole, near, contested = settle(whole, near, decided)
        settled = contested
        whole, counts = group_faces(whole, sources, out.parent / "descriptors", workers, near)
        whole = split_groups(whole, seed=seed, shares=shares_for(whole))
        for name, entry in counts.items():
            sets.report[name].update(entry)
    else:
        whole, contested, settled = _split_again(whole, split, sources, decided)
    whole, followed = _decided(whole, decided, contested, settled)
    short = "" if split else shortage(whole)
    record: dict[str, Any] = {"seed": seed, "sets": _report(whole, sets)}
    if decisions:
        record["decisions"] = {"file": decisions.name, "sha256": digest_of(decisions), **followed}
        print("\n".join([f"{len(decided)} decisions in {decisions}", *in_words(followed)]), flush=True)
    whole.save(out.with_suffix(".npz"))
    contested.save(contested_file(out.with_suffix(".npz")))
    write_whole(out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    with replacing(out.with_suffix(".csv")) as part, part.open("w", newline="") as file:
        writer = csv_writer(file)
        more = _ORIGIN if any(sets.origins.values()) else ()
        writer.writerow(["source", "name", "smile", "group", "split", *more])
        given = zip(whole.source, whole.name, whole.smile, whole.group, whole.split, photo_names(whole), strict=True)
        for *row, photo in given:
            origin = sets.origins[row[0]].get(photo, NO_ORIGIN)
            writer.writerow([*row, *(harmless(getattr(origin, name)) for name in more)])
    if short:
        print(short, flush=True)
    return whole


@dataclass
class _Sets:
    """What was read. `sources`, `origins` and `report` by set, `origins` also by picture."""

    faces: Faces
    sources: dict[str, Source]
    origins: dict[str, dict[str, Origin]]
    report: dict[str, dict[str, Any]]


def _read_sets(paths: list[Path], *, cropped: bool, workers: int) -> _Sets:
    """Raises DatasetError."""
    if not paths:
        raise DatasetError("Name at least one set: a folder or zip with folders smile and no_smile.")
    parts: list[Faces] = []
    sources: dict[str, Source] = {}
    origins: dict[str, dict[str, Origin]] = {}
    report: dict[str, dict[str, Any]] = {}
    for path in paths:
        source = find_source(path, cropped=cropped)
        if source.name in sources:
            raise DatasetError(f"Two sets are called {source.name}; rename one of them.")
        print(f"{path}: {'tight crops' if source.cropped else 'photos'}", flush=True)
        origins[source.name] = read_origins(path)
        faces, left_out = read_set(path, source, workers=workers)
        parts.append(faces)
        sources[source.name] = source
        report[source.name] = {"pictures": int((faces.face == 1).sum()) + sum(left_out.values()), **left_out}
    return _Sets(Faces.join(parts), sources, origins, report)


def _report(faces: Faces, sets: _Sets) -> dict[str, dict[str, Any]]:
    """What became of each set in the dataset `faces`."""
    for name, report in sets.report.items():
        here = faces.where((faces.source == name) & (faces.face == 1))
        known = here.labelled()
        report.update({side: int((here.split == side).sum()) for side in SPLITS})
        if len(known):
            report["smiling"] = round(float(known.smile.mean()), 3)
        report["backgrounds"] = int(((faces.source == name) & (faces.face == 0)).sum())
        if sets.origins[name]:
            report["origin"] = summary(here.name.tolist(), sets.origins[name])
        print(f"{name}: {report}", flush=True)
    return sets.report


def _decided(faces: Faces, decisions: dict[Key, Decision], contested: Faces, settled: Faces) -> tuple[Faces, dict[str, Any]]:
    """Follows the decisions, now that the parts are known. Returns the faces, and what was changed.

    `settled`: those of `contested` on which decisions have been followed already, in any part.
    """
    others = without_contested(decisions, contested)
    counts = count_decisions(faces, others)
    counts["near_copies"] = len(decisions) - len(without_contested(decisions, settled))
    counts["near_copies_left_out"] = len(decisions) - len(others) - counts["near_copies"]
    return apply_decisions(faces, others), counts


def _split_again(
    faces: Faces, manifest: Path, sources: dict[str, Source], decisions: dict[Key, Decision]
) -> tuple[Faces, Faces, Faces]:
    """The faces that the manifest names, the near-copies with opposite labels, and those of these that it names.

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
            f"{manifest} names no picture of {', '.join(strangers)}; leave out these sets, or --split to split anew."
        )
    faces, others = faces.where(known), faces.where(~known)
    found = [rows[key] for key in _photo_keys(faces)]
    placed = {"group": np.array([f[0] for f in found]), "split": np.array([f[1] for f in found])}
    return Faces(**{**faces.fields(), **placed}), others


def _named(faces: Faces, rows: dict[Key, tuple[int, str]]) -> np.ndarray:
    """Which faces, bool `(n,)`, a manifest's rows name."""
    return np.array([key in rows for key in _photo_keys(faces)], bool)


def _photo_keys(faces: Faces) -> list[Key]:
    return list(zip(faces.source.tolist(), photo_names(faces).tolist(), strict=True))  # a background goes with its photo


@tensorflow_quiet()
@said_plainly("The dataset could not be written")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.dataset", description="Build a dataset of face crops.")
    parser.add_argument("sets", nargs="+", type=Path, help="folders or zips with class folders smile and no_smile")
    parser.add_argument("--out", type=Path, default=Path("datasets/faces"), help="writes OUT.npz, OUT.csv, OUT.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cropped", action="store_true", help="your own pictures are tight face crops already")
    parser.add_argument("--split", type=Path, help="take groups and sides from this OUT.csv (or .csv.gz) of an earlier run")
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="change labels and drop faces as `training.relabel` noted"
    )
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(argv)
    build_dataset(
        options.sets,
        options.out,
        seed=options.seed,
        cropped=options.cropped,
        workers=max(1, options.workers),
        split=options.split,
        decisions=options.decisions,
    )
    print(f"Wrote {options.out}.npz; train with:\n{_next(options)}")
    return 0


def _next(options: argparse.Namespace) -> str:
    return command("training.train", data=options.out.with_suffix(".npz"), out=Path("runs") / options.out.stem)


if __name__ == "__main__":
    sys.exit(main())
