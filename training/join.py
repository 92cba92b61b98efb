"""Add datasets to one whose split must stay as it is, because networks were trained on it.

    python -m training.dataset ../shared/data/affect.zip --out datasets/affect
    python -m training.join datasets/faces.npz datasets/affect.npz --out datasets/all.npz

Every face of the first dataset stays in its part. Those of the others keep theirs too, unless near-copies tie their group to
the first: then they follow it and are of one group with it. They are left out if they are tied to several parts, or if their
label is the opposite of a near-copy's. `OUT.json` says of each set what the datasets' own reports say. Exit code 0; 2 if
nothing was written; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.commands import said_plainly
from common.errors import DatasetError
from training.data.faces import SPLITS, Faces
from training.data.grouping import connected_groups, near_copies, opposite
from training.data.sources import KNOWN, Source
from training.judging.records import read_json, write_json


def join(first: Faces, other: Faces) -> Faces:
    """Both, without the faces of `other` that are tied to several parts of `first` or have the opposite label of a near-copy
    there. Raises DatasetError.
    """
    if both := sorted(set(first.source.tolist()) & set(other.source.tolist())):
        raise DatasetError(f"Both datasets hold {', '.join(both)}; leave it out of one of them.")
    whole = Faces.join([first, replace(other, group=other.group + first.group.max(initial=-1) + 1)])
    sources = {str(name): KNOWN.get(str(name), Source(str(name))) for name in np.unique(whole.source)}
    n, m = len(first), int(whole.group.max(initial=0)) + 1
    near = near_copies(whole, sources)
    # Nodes are groups; a near-copy joins those of its two faces.
    joined = connected_groups(m, whole.group[near])[whole.group]
    parts = np.zeros((m, len(SPLITS)), bool)
    parts[joined[:n], [SPLITS.index(side) for side in first.split]] = True
    tied = parts[joined].sum(axis=1)  # to how many parts of the first dataset
    lowest = np.full(m, m)
    np.minimum.at(lowest, joined, whole.group)  # a group's number in the first dataset, if it has one there
    split = np.where(tied == 1, np.array(SPLITS)[parts[joined].argmax(axis=1)], whole.split)
    split[:n] = first.split
    kept = tied <= 1
    kept[opposite(near, whole.smile)] = False
    kept[:n] = True
    whole = replace(whole, split=split, group=np.where(tied <= 1, lowest[joined], whole.group))
    return whole if kept.all() else whole.where(kept)


@said_plainly("The joined dataset could not be written")
def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    whole = Faces.load(options.first)
    for path in options.others:
        before, other = len(whole), Faces.load(path)
        whole = join(whole, other)
        new = whole.split[before:]
        sides = ", ".join(f"{side} {(new == side).sum():,}" for side in SPLITS)
        print(f"{path}: {len(other) - len(new):,} of {len(other):,} left out; {sides}", flush=True)
    report = _report([options.first, *options.others], whole)
    whole.save(options.out)
    write_json(options.out.with_suffix(".json"), report)
    print(f"Wrote {options.out}.")
    return 0


def _report(paths: list[Path], whole: Faces) -> dict[str, Any]:
    """The first dataset's own report with the sets of all, and how many faces each part has now. Raises DatasetError."""
    reports = [read_json(path) if path.is_file() else {} for path in (data.with_suffix(".json") for data in paths)]
    sets = {name: entry for report in reports for name, entry in report.get("sets", {}).items()}
    for name, entry in sets.items():
        here = whole.split[(whole.source == name) & (whole.face == 1)]
        entry.update({side: int((here == side).sum()) for side in SPLITS})
    return {**reports[0], "sets": sets}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.join", description="Add datasets to one that is split.")
    parser.add_argument("first", type=Path, help="whose parts stay")
    parser.add_argument("others", type=Path, nargs="+", metavar="other", help="from `python -m training.dataset`")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
