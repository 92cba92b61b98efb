"""Add datasets to one whose split must stay as it is, because networks were trained on it.

    python -m training.dataset ../shared/data/affect.zip --out datasets/affect
    python -m training.join datasets/faces.npz datasets/affect.npz --out datasets/all.npz

Every face of the first dataset stays in its part. Those of the others keep theirs too, unless near-copies tie their group to
the first: then they follow it, and if they are tied to several parts, they are left out. Exit code 0; 2 if nothing was
written.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.errors import DatasetError, SmileError
from training.data.faces import SPLITS, Faces
from training.data.grouping import connected_groups, near_copies
from training.data.sources import KNOWN, Source


def join(first: Faces, other: Faces) -> Faces:
    """Both, without the faces of `other` that are tied to several parts of `first`. Raises DatasetError."""
    if both := sorted(set(first.source.tolist()) & set(other.source.tolist())):
        raise DatasetError(f"Both datasets hold {', '.join(both)}; leave it out of one of them.")
    whole = Faces.join([first, replace(other, group=other.group + first.group.max(initial=-1) + 1)])
    sources = {str(name): KNOWN.get(str(name), Source(str(name))) for name in np.unique(whole.source)}
    n, m = len(first), int(whole.group.max(initial=0)) + 1
    # Nodes are groups; a near-copy joins those of its two faces.
    joined = connected_groups(m, whole.group[near_copies(whole, sources)])[whole.group]
    parts = np.zeros((joined.max(initial=0) + 1, len(SPLITS)), bool)
    parts[joined[:n], [SPLITS.index(side) for side in first.split]] = True
    tied = parts[joined]  # (faces, 3): in which parts of the first dataset a face is, or has somebody
    follows = tied.sum(axis=1) == 1
    split = np.where(follows, np.array(SPLITS)[tied.argmax(axis=1)], whole.split)
    split[:n] = first.split
    kept = tied.sum(axis=1) <= 1
    kept[:n] = True
    return replace(whole, split=split, group=np.where(np.arange(len(whole)) < n, whole.group, joined + m)).where(kept)


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        whole = Faces.load(options.first)
        for path in options.others:
            before, other = len(whole), Faces.load(path)
            whole = join(whole, other)
            new = whole.where(np.arange(len(whole)) >= before)
            sides = ", ".join(f"{side} {(new.split == side).sum():,}" for side in SPLITS)
            print(f"{path}: {len(other) - len(new):,} of {len(other):,} left out; {sides}", flush=True)
        whole.save(options.out)
    except (SmileError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Wrote {options.out}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.join", description="Add datasets to one that is split.")
    parser.add_argument("first", type=Path, help="whose parts stay")
    parser.add_argument("others", type=Path, nargs="+", metavar="other", help="from `python -m training.dataset`")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
