"""Train the smile network and export it for the app.

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb,celeba64,fer,keypoints}.zip
    python -m training.train                       # all sets, about an hour on two cores
    python -m training.train --sources genki smiles mine --epochs 5 --out runs/mine
    python -m training.train --network lenet       # a simple network to compare with: runs/lenet
    python -m training.train --distribute multiworker    # on several machines: training/distributed.py says how
    python -m training.train --start-from runs/smile --rate 3e-4 --plain-share 0.5 --epochs 6 --out runs/polished
    python -m training.train --decisions datasets/decisions.csv     # labels mended by `training.relabel`
    python -m training.train --soft-labels runs/out_of_fold/out_of_fold.csv.gz     # mixed with a teacher's opinions

Writes into --out: `my_model.keras`, `scaler.save` (joblib), `training.json` (how it was made), TensorBoard logs, and for
our network `smile.tflite` (what the app loads). The same command continues after a kill from the last finished epoch.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from errors import DatasetError, SmileError
from training.cluster import meet, read_cluster
from training.decisions import apply_decisions, count_decisions, in_words, read_decisions
from training.distributed import WAIT_SECONDS, Workers, fit_together
from training.faces import Faces
from training.finish import finish
from training.lineage import check_start, take_weights
from training.predictions import read_predictions
from training.progress import Progress

if TYPE_CHECKING:
    import keras

    from training.recipes import Recipe

# Modules that decide what a training comes to.
_CODE = (
    *("train", "progress", "finish", "batches", "augmentation", "faces", "reading"),
    *("recipes", "network", "teacher", "distributed"),
)
NETWORKS = ("smile", "teacher", "lenet", "seed", "minimal", "keypoints", "vgg19")
# By how much each output's loss counts. The errors of points are hundredths, so theirs count more.
_LOSS_WEIGHTS = {"smile": 1.0, "presence": 0.3, "landmarks": 5.0, "expression": 0.3, "shape68": 5.0}


def train(
    faces: Faces,
    out: Path,
    recipe: Recipe,
    *,
    seed: int,
    patience: int,
    precision: str = "float32",
    shipped: bool = True,
    start_from: Path | None = None,
    taught: np.ndarray | None = None,
    taught_share: float = 0.5,
    labels_from: dict[str, str] | None = None,
    workers: Workers | None = None,
) -> None:
    """Trains on `faces`' training part, chooses the epoch by its validation part, and writes all files into `out`.

    `shipped`: make the file for the app, too. `patience`: stop after so many epochs without a better one.
    `start_from`: the folder of an earlier training of the same network, whose weights to begin with. `taught` float `(n,)`:
    P(smile) by a teacher, NaN where it said nothing, for that share of the target. `labels_from`: the files that changed
    labels and their SHA-256 sums, for training.json. `workers`: that train together, of which only the chief writes.
    """
    import keras

    from training.batches import Batches, fit_scaler, resized, use_one_opencv_thread

    use_one_opencv_thread()
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy(precision)
    chief = workers is None or workers.chief
    model = recipe.build()
    outputs = tuple(model.output)
    _check_labels(faces, outputs)
    validation = faces.part("val")
    in_training = faces.split == "train"
    if "presence" not in outputs:
        in_training &= faces.face == 1
    training = faces.where(in_training)
    scaler = fit_scaler(resized(training.where(training.face == 1), recipe.size, recipe.view_scale))
    if chief:
        (out / "logs").mkdir(parents=True, exist_ok=True)
        joblib.dump(scaler, out / "scaler.save")
    batches = Batches(
        training,
        scaler,
        outputs,
        seed=seed,
        batch=recipe.batch,
        size=recipe.size,
        color=recipe.color,
        augmented=recipe.augmented,
        plain_share=recipe.plain_share,
        guessed_weight=recipe.guessed_weight,
        view_scale=recipe.view_scale,
        taught=taught[in_training] if taught is not None else None,
        taught_share=taught_share,
        epochs=0 if start_from else recipe.epochs,
        share=workers.share if workers else slice(None),
    )
    if start_from:
        check_start(start_from, faces)
        take_weights(model, start_from)
    _compile(model, recipe, steps=recipe.epochs * len(batches))
    digest = _digest_of_all_that_matters(faces, recipe, seed, precision, start_from, taught, taught_share)
    progress = Progress(out, digest, seed, validation, scaler, recipe, patience)
    if chief and (done := progress.resume()) is not None:
        model = done
        print(f"continuing after epoch {len(progress.history)}", flush=True)
    batches.start(len(progress.history))
    first = recipe.epochs if progress.finished() else len(progress.history)
    callbacks = [progress.callback(), keras.callbacks.TensorBoard(out / "logs", write_graph=False)]
    if workers:
        fit_together(model, batches, workers, seed=seed, epochs=recipe.epochs, first=first, callbacks=callbacks)
    elif first < recipe.epochs:
        model.fit(batches, epochs=recipe.epochs, initial_epoch=first, verbose=0, shuffle=False, callbacks=callbacks)
    if not chief:
        return
    finish(
        progress,
        faces,
        training,
        validation,
        scaler,
        precision=precision,
        shipped=shipped,
        start_from=start_from,
        taught_share=taught_share if taught is not None else 0.0,
        labels_from=labels_from,
    )


def _check_labels(faces: Faces, outputs: tuple[str, ...]) -> None:
    for split in ("train", "val"):
        part = faces.part(split)
        if "smile" in outputs and len(np.unique(part.labelled().smile)) < 2:
            raise DatasetError(f"The {split} part needs both smiling and not smiling faces; add pictures of each.")
        if outputs == ("landmarks",) and np.isnan(part.landmarks).all():
            raise DatasetError(f"The {split} part has no landmarks; build the dataset with keypoints.zip.")


def _compile(model: keras.Model, recipe: Recipe, steps: int) -> None:
    import keras

    from training.recipes import cosine_rate

    losses: dict[str, Any] = {
        "smile": keras.losses.BinaryCrossentropy(from_logits=True),
        "presence": keras.losses.BinaryCrossentropy(from_logits=True),
        "landmarks": recipe.landmark_loss,
        "expression": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
        "shape68": "mae",
    }
    model.compile(
        keras.optimizers.AdamW(cosine_rate(recipe, steps), weight_decay=1e-3),
        {name: losses[name] for name in model.output},
        loss_weights={name: _LOSS_WEIGHTS[name] for name in model.output},
        jit_compile=False,  # XLA, Keras' own choice, takes twice as long for these layers on a processor
    )


def _digest_of_all_that_matters(
    faces: Faces,
    recipe: Recipe,
    seed: int,
    precision: str,
    start_from: Path | None,
    taught: np.ndarray | None,
    taught_share: float,
) -> str:
    """A killed training goes on, and machines train together, only where data, code and options are still the same."""
    options = [getattr(recipe, field.name) for field in dataclasses.fields(recipe) if field.name != "build"]
    options += [seed, precision, str(start_from), taught_share if taught is not None else None]
    digest = hashlib.sha256(repr(options).encode())
    for array in (*faces.fields().values(), np.empty(0) if taught is None else taught):
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    for module in _CODE:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()


def choose_sources(faces: Faces, sources: list[str] | None, without: list[str] | None, data: Path) -> Faces:
    """The faces of the named sets, or of all but some. Raises DatasetError for a set that is not there."""
    unknown = sorted({*(sources or []), *(without or [])} - set(faces.source.tolist()))
    if unknown:
        raise DatasetError(f"{data} has no set called {', '.join(unknown)}; build the dataset with it.")
    chosen = np.isin(faces.source, sources) if sources else np.ones(len(faces), bool)
    return faces.where(chosen & ~np.isin(faces.source, without or []))


def taught_labels(faces: Faces, path: Path) -> np.ndarray:
    """P(smile) `(n,)` by the teacher whose opinions `path` holds, NaN where it has none. Raises DatasetError."""
    said = read_predictions(path)
    taught = np.array([said.get(key, np.nan) for key in zip(faces.source.tolist(), faces.name.tolist(), strict=True)])
    taught[faces.split != "train"] = np.nan
    if np.isnan(taught).all():
        raise DatasetError(f"{path} says nothing of this dataset's training faces; make it from the same dataset.")
    return taught


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train the smile network.")
    parser.add_argument("--network", choices=NETWORKS, default="smile", help="ours, or a simple one to compare with")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--sources", nargs="+", help="train on these sets of the dataset only")
    parser.add_argument("--without", nargs="+", help="leave these sets of the dataset out")
    parser.add_argument("--out", type=Path, help="folder to write (default runs/NETWORK)")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--start-from", type=Path, metavar="DIR", help="begin with the weights of this earlier training")
    parser.add_argument("--rate", type=float, help="highest learning rate (default: the network's own)")
    parser.add_argument("--plain-share", type=float, help="of the faces, shown as they come, not augmented (default 0)")
    parser.add_argument("--patience", type=int, default=12, help="stop after so many epochs without a better one")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument(
        "--guessed-weight", type=float, help="of landmarks that dlib guessed (default 0.4; measured ones: 3)"
    )
    parser.add_argument(
        "--decisions", type=Path, metavar="FILE", help="change labels and drop faces as `python -m training.relabel` wrote"
    )
    parser.add_argument(
        "--soft-labels", type=Path, metavar="FILE", help="a teacher's opinions, from `python -m training.out_of_fold`"
    )
    parser.add_argument("--soft-share", type=float, default=0.5, help="of the target, beside the label (default 0.5)")
    parser.add_argument("--imagenet-weights", type=Path, help="file for --network vgg19; without it Keras fetches it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--distribute",
        choices=("multiworker",),
        help="train on several machines: the same command on each, and TF_CONFIG says which is which; the first one writes",
    )
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for the other machines (default: %(default)g)"
    )
    options = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    out = options.out or Path("runs") / options.network
    cluster = workers = None
    try:
        if options.epochs is not None and options.epochs < 1:
            raise DatasetError("--epochs must be 1 or more.")
        if options.patience < 1:
            raise DatasetError("--patience must be 1 or more.")
        if not 0 <= options.soft_share <= 1:
            raise DatasetError("--soft-share must be from 0 to 1.")
        if not 0 < options.wait <= threading.TIMEOUT_MAX:
            raise DatasetError("--wait must be a number of seconds, more than 0.")
        cluster = read_cluster(os.environ) if options.distribute else None
        faces = Faces.load(options.data)
        from dataclasses import replace

        from training.recipes import RECIPES, build_vgg19

        recipe = RECIPES[options.network]
        if options.network == "vgg19":
            recipe = replace(recipe, build=partial(build_vgg19, options.imagenet_weights))
        recipe = replace(
            recipe,
            epochs=options.epochs or recipe.epochs,
            rate=options.rate or recipe.rate,
            plain_share=recipe.plain_share if options.plain_share is None else options.plain_share,
            guessed_weight=recipe.guessed_weight if options.guessed_weight is None else options.guessed_weight,
        )
        meant = [name for name in recipe.sources or () if name in faces.source]
        faces = choose_sources(faces, options.sources or meant or None, options.without, options.data)
        if options.decisions:
            decisions = read_decisions(options.decisions)
            print("\n".join(in_words(count_decisions(faces, decisions))), flush=True)
            faces = apply_decisions(faces, decisions)
        taught = taught_labels(faces, options.soft_labels) if options.soft_labels else None
        if cluster:
            import tensorflow

            digest = _digest_of_all_that_matters(
                faces, recipe, options.seed, options.precision, options.start_from, taught, options.soft_share
            )
            meet(cluster, f"{digest} {tensorflow.__version__}", options.wait)
            workers = Workers(cluster)
        train(
            faces,
            out,
            recipe,
            taught=taught,
            taught_share=options.soft_share,
            labels_from={
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in (options.decisions, options.soft_labels)
                if path
            },
            seed=options.seed,
            patience=options.patience,
            precision=options.precision,
            shipped=options.network == "smile",
            start_from=options.start_from,
            workers=workers,
        )
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
    elif options.network == "smile":
        print(f"Wrote {out}/smile.tflite; judge it with `python -m training.evaluate --model {out}`.")
    else:
        print(f"Wrote {out}/my_model.keras; training.json beside it holds its validation figures.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
