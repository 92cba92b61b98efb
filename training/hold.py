"""Measure what holds a network's smile output, for a network from before trainings wrote that down.

    python -m training.hold --model models --data datasets/faces.npz      # writes models/hold.npz

`training.train --fine-tune DIR` needs the file. The faces must be those of the network's own training
(`training.dataset ... --split DIR/split.csv.gz`); only their training part is looked at.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from common.commands import said_plainly
from common.errors import DatasetError
from common.places import MODELS
from training.data.faces import Faces
from training.fitting.hold import FILE_NAME, measure_hold, save_hold
from training.fitting.lineage import check_start
from training.fitting.tune import whole_network
from training.judging.records import read_training
from training.quiet import tensorflow_quiet


@tensorflow_quiet()
@said_plainly("The measures could not be written")
def main(argv: list[str] | None = None) -> int:
    """Exit code 0; 2 with one sentence; 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m training.hold", description="Measure what holds a smile output.")
    parser.add_argument("--model", type=Path, default=MODELS, help="folder of a finished training")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    faces, made = Faces.load(options.data), read_training(options.model)
    check_start(options.model, faces)
    model, scaler = whole_network(options.model)
    known = faces.where((faces.split == "train") & (faces.face == 1)).labelled()
    if not len(known):
        raise DatasetError(f"{options.data} has no labelled training faces; give the dataset of the network's training.")
    save_hold(options.model, measure_hold(model, scaler, made["temperature"], known, seed=options.seed))
    print(f"Wrote {options.model / FILE_NAME}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
