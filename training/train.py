"""Train the smile network and export it for the app.

    python -m training.train --data datasets/mine.npz --out runs/mine     # fit the shipped network to your photos: seconds
    python -m training.train --fine-tune runs/mine --data datasets/more.npz --out runs/more     # fit that one further

Your faces teach the smile output alone; presence and landmarks stay as they are (`training/fitting/tune.py`). All outputs
learn, from thousands of faces, with one of these:

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb,celeba64,fer,keypoints}.zip
    python -m training.train --from-scratch        # all sets, about an hour on two cores
    python -m training.train --from-scratch --sources genki smiles mine --epochs 5 --out runs/mine
    python -m training.train --network lenet       # a simple network to compare with: runs/lenet
    python -m training.train --from-scratch --distribute multiworker    # on several machines: fitting/distributed.py
    python -m training.train --start-from runs/smile --rate 3e-4 --plain-share 0.5 --epochs 6 --out runs/polished
    python -m training.train --decisions datasets/decisions.csv     # labels mended by `training.relabel`
    python -m training.train --soft-labels runs/out_of_fold/out_of_fold.csv.gz     # mixed with a teacher's opinions
    python -m training.train --start-from models --dense datasets/faces.dense.npz --out runs/dense     # and its dense points

It writes into --out: `my_model.keras`, `scaler.save` (joblib), `training.json` (how it was made), TensorBoard logs, and for
our network `smile.tflite`, which the app loads, and `hold.npz`, for `--fine-tune`. After a kill the same command goes on
from the last finished epoch. Exit code 0; 1 if the network can't be expected to work; 2 if nothing was trained; 130 after
Ctrl-C.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.commands import command
from common.errors import DatasetError, SmileError
from common.judged import Judged
from common.places import MODELS
from training.data.faces import Faces
from training.fitting.cluster import Cluster, meet, read_cluster
from training.fitting.distributed import WAIT_SECONDS, Workers
from training.fitting.fit import NETWORKS, choose_sources, digest_of_all_that_matters, taught_labels, taught_points, train
from training.fitting.plan import Plan, Taught
from training.fitting.tune import fine_tune
from training.labels.decisions import apply_decisions, count_decisions, in_words, read_decisions
from training.quiet import tensorflow_quiet

if TYPE_CHECKING:
    from training.networks.recipes import Recipe


# Options that fitting the smile output alone has no use for, and their defaults.
_FOR_ALL_OUTPUTS = {
    "epochs": None,
    "rate": None,
    "plain_share": None,
    "patience": 12,
    "precision": "float32",
    "guessed_weight": None,
    "soft_labels": None,
    "dense": None,
    "distribute": None,
}


@tensorflow_quiet()
def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    out = options.out or Path("runs") / options.network
    cluster = workers = None
    try:
        _check(options)
        cluster = read_cluster(os.environ) if options.distribute else None
        faces, plan = _faces_and_plan(options)
        workers = _meet(cluster, digest_of_all_that_matters(faces, plan), options.wait) if cluster else None
        judged = _fine_tune(faces, out, options, plan) if _fine_tunes(options) else train(faces, out, plan, workers)
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The network could not be written to {out}: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        where = f"{out} holds" if not cluster or cluster.index == 0 else "the first worker has judged"
        print(f"Stopped. The same command goes on after the last epoch that {where}.", file=sys.stderr)
        return 130
    if workers and not workers.chief:
        print("Trained. The first worker writes the network.")
    elif plan.shipped:
        print(f"Wrote {out}/smile.tflite; judge it with:\n{command('training.evaluate', data=options.data, model=out)}")
    else:
        print(f"Wrote {out}/my_model.keras; training.json beside it holds its validation figures.")
    if judged and (said := judged.problem() or judged.caution()):
        print(said, file=sys.stderr)
    return 1 if judged and judged.hopeless else 0


def _fine_tunes(options: argparse.Namespace) -> bool:
    return options.network == "smile" and not options.from_scratch and options.start_from is None


def _fine_tune(faces: Faces, out: Path, options: argparse.Namespace, plan: Plan) -> Judged:
    """Raises DatasetError."""
    tuned = fine_tune(faces, out, options.fine_tune or MODELS, seed=options.seed, labels_from=plan.labels_from)
    print(tuned)
    return tuned.judged


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the smile network.")
    parser.add_argument("--network", choices=NETWORKS, default="smile", help="ours, or a simple one to compare with")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--sources", nargs="+", help="train only on these sets of the dataset")
    parser.add_argument("--without", nargs="+", help="leave these sets of the dataset out")
    parser.add_argument("--out", type=Path, help="folder to write (default runs/NETWORK)")
    parser.add_argument("--epochs", type=int)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--fine-tune",
        type=Path,
        metavar="DIR",
        help="fit this network's smile output to the faces (default: the shipped one)",
    )
    how.add_argument("--from-scratch", action="store_true", help="a new network, all of whose outputs learn from the faces")
    how.add_argument(
        "--start-from",
        type=Path,
        metavar="DIR",
        help="all outputs learn, beginning with the weights of this earlier training",
    )
    parser.add_argument("--rate", type=float, help="highest learning rate (default: the network's own)")
    parser.add_argument("--plain-share", type=float, help="share of the faces to show unchanged, not augmented (default 0)")
    parser.add_argument(
        "--patience", type=int, default=_FOR_ALL_OUTPUTS["patience"], help="stop after so many epochs without a better one"
    )
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument(
        "--guessed-weight", type=float, help="weight of landmarks that dlib guessed (default 0.4; measured ones: 3)"
    )
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="change labels and drop faces as `python -m training.relabel` noted"
    )
    _add_teachers(parser)
    parser.add_argument("--imagenet-weights", type=Path, help="file for --network vgg19; without it Keras downloads one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--distribute",
        choices=("multiworker",),
        help="train on several machines: the same command on each; TF_CONFIG says which is which, and the first one writes",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="seconds to wait for the other machines (default: %(default)g)",
    )
    return parser


def _add_teachers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--soft-labels", type=Path, metavar="FILE", help="a teacher's opinions, from `python -m training.out_of_fold`"
    )
    parser.add_argument(
        "--soft-share", type=float, default=0.5, help="the teacher's share of the target, beside the label (default 0.5)"
    )
    parser.add_argument(
        "--dense",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="dense points and blendshapes to learn too, from `python -m training.dense`",
    )


def _check(options: argparse.Namespace) -> None:
    """Raises DatasetError for what can't be used."""
    given = [f"--{name.replace('_', '-')}" for name, usual in _FOR_ALL_OUTPUTS.items() if getattr(options, name) != usual]
    if _fine_tunes(options) and given:
        raise DatasetError(f"{given[0]} is for training all outputs; add --from-scratch or --start-from, or leave it out.")
    if options.network != "smile" and options.fine_tune:
        raise DatasetError("--fine-tune is for the network that the app loads; leave --network out.")
    if options.network not in ("smile", "teacher") and options.dense:
        raise DatasetError(f"--dense is for outputs that {options.network} does not have; leave it out.")
    if options.epochs is not None and options.epochs < 1:
        raise DatasetError("--epochs must be 1 or more.")
    if options.patience < 1:
        raise DatasetError("--patience must be 1 or more.")
    if not 0 <= options.soft_share <= 1:
        raise DatasetError("--soft-share must be from 0 to 1.")
    if not 0 < options.wait <= threading.TIMEOUT_MAX:
        raise DatasetError("--wait must be a number of seconds, more than 0.")


def _faces_and_plan(options: argparse.Namespace) -> tuple[Faces, Plan]:
    """The faces of the chosen sets, with decisions followed, and how to train on them. Raises DatasetError."""
    faces = Faces.load(options.data)
    recipe = _recipe(options)
    meant = [name for name in recipe.sources or () if name in faces.source]
    faces = choose_sources(faces, options.sources or meant or None, options.without, options.data)
    if options.decisions:
        decisions = read_decisions(options.decisions)
        print("\n".join(in_words(count_decisions(faces, decisions))), flush=True)
        faces = apply_decisions(faces, decisions)
    label_files = [path for path in (options.decisions, options.soft_labels, *(options.dense or ())) if path]
    return faces, Plan(
        recipe,
        seed=options.seed,
        patience=options.patience,
        precision=options.precision,
        shipped=options.network == "smile",
        start_from=options.start_from,
        taught=_taught(faces, options),
        labels_from={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in label_files},
    )


def _taught(faces: Faces, options: argparse.Namespace) -> Taught | None:
    """What the chosen teachers say. Raises DatasetError."""
    if not (options.soft_labels or options.dense):
        return None
    smile = taught_labels(faces, options.soft_labels) if options.soft_labels else np.full(len(faces), np.nan)
    share = options.soft_share if options.soft_labels else 0.0
    return Taught(smile, share, taught_points(faces, options.dense) if options.dense else None)


def _recipe(options: argparse.Namespace) -> Recipe:
    """The network's own, but for what the user wants otherwise."""
    from training.networks.recipes import (  # not at import: Keras, five seconds that --help should not cost
        RECIPES,
        build_vgg19,
    )

    recipe = RECIPES[options.network]
    if options.network == "vgg19":
        recipe = replace(recipe, build=partial(build_vgg19, options.imagenet_weights))
    return replace(
        recipe,
        epochs=options.epochs or recipe.epochs,
        rate=options.rate or recipe.rate,
        plain_share=recipe.plain_share if options.plain_share is None else options.plain_share,
        guessed_weight=recipe.guessed_weight if options.guessed_weight is None else options.guessed_weight,
    )


def _meet(cluster: Cluster, digest: str, wait_s: float) -> Workers:
    """The workers, once all are there and mean the same training. Raises ClusterError."""
    import tensorflow

    meet(cluster, f"{digest} {tensorflow.__version__}", wait_s)
    return Workers(cluster)


if __name__ == "__main__":
    sys.exit(main())
