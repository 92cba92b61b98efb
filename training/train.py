"""Train the smile network and export it for the app.

    python -m training.dataset ../shared/data/{genki,smiles,getty_faces,rafdb,celeba64,fer,keypoints}.zip
    python -m training.train                       # all sets, about an hour on two cores
    python -m training.train --sources genki smiles mine --epochs 5 --out runs/mine
    python -m training.train --network lenet       # a simple network to compare with: runs/lenet
    python -m training.train --start-from runs/smile --rate 3e-4 --plain-share 0.5 --epochs 6 --out runs/polished
    python -m training.train --decisions datasets/decisions.csv     # labels mended by `training.relabel`
    python -m training.train --soft-labels runs/out_of_fold/out_of_fold.csv.gz     # mixed with a teacher's opinions

Writes into --out: `my_model.keras`, `scaler.save` (joblib), `training.json` (how it was made), TensorBoard logs, and for
our network `smile.tflite` (what the app loads). The same command continues after a kill from the last finished epoch.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from errors import DatasetError, SmileError
from training.decisions import apply_decisions, count_decisions, in_words, read_decisions
from training.faces import Faces
from training.lineage import check_start, earlier_stages, take_weights, what_was_trained
from training.predictions import read_predictions
from training.progress import Progress, save_network, write_json_whole
from training.splits import save_split

if TYPE_CHECKING:
    import keras

    from training.recipes import Recipe

NETWORKS = ("smile", "teacher", "lenet", "seed", "minimal", "keypoints", "vgg19")
# By how much each output's loss counts. The errors of points are hundredths, so theirs count more.
_LOSS_WEIGHTS = {"smile": 1.0, "presence": 0.3, "landmarks": 5.0, "expression": 0.3, "shape68": 5.0}


def fit_temperature(logits: np.ndarray, smile: np.ndarray) -> float:
    """The number that logits are divided by to make their sigmoid a probability (Guo et al. 2017), fitted on `val`."""
    candidates = np.exp(np.linspace(np.log(0.25), np.log(4), 400))
    signs = np.where(smile > 0, 1.0, -1.0)
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


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
) -> None:
    """Trains on `faces`' training part, chooses the epoch by its validation part, and writes all files into `out`.

    `shipped`: make the file for the app, too. `patience`: stop after so many epochs without a better one.
    `start_from`: the folder of an earlier training of the same network, whose weights to begin with. `taught` float `(n,)`:
    P(smile) by a teacher, NaN where it said nothing, for that share of the target. `labels_from`: the files that changed
    labels and their SHA-256 sums, for training.json.
    """
    import keras

    from training.batches import Batches, fit_scaler, resized, use_one_opencv_thread

    use_one_opencv_thread()
    keras.utils.set_random_seed(seed)
    keras.mixed_precision.set_global_policy(precision)
    out.mkdir(parents=True, exist_ok=True)
    model = recipe.build()
    outputs = tuple(model.output)
    _check_labels(faces, outputs)
    validation = faces.part("val")
    in_training = faces.split == "train"
    if "presence" not in outputs:
        in_training &= faces.face == 1
    training = faces.where(in_training)
    scaler = fit_scaler(resized(training.where(training.face == 1), recipe.size, recipe.view_scale))
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
    )
    if start_from:
        check_start(start_from, faces)
        take_weights(model, start_from)
    _compile(model, recipe, steps=recipe.epochs * len(batches))
    digest = _digest_of_all_that_matters(faces, recipe, seed, precision, start_from, taught, taught_share)
    progress = Progress(out, digest, seed, validation, scaler, recipe, patience)
    if (done := progress.resume()) is not None:
        model = done
        print(f"continuing after epoch {len(progress.history)}", flush=True)
    batches.start(len(progress.history))
    if not progress.finished():
        log = keras.callbacks.TensorBoard(out / "logs", write_graph=False)
        model.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=len(progress.history),
            verbose=0,
            shuffle=False,
            callbacks=[progress.callback(), log],
        )
    share = taught_share if taught is not None else 0.0
    _finish(out, recipe, scaler, faces, training, validation, progress, precision, shipped, start_from, share, labels_from)


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


def _finish(
    out: Path,
    recipe: Recipe,
    scaler: Any,
    faces: Faces,
    training: Faces,
    validation: Faces,
    progress: Progress,
    precision: str,
    shipped: bool,
    start_from: Path | None,
    taught_share: float,
    labels_from: dict[str, str] | None,
) -> None:
    import keras

    from training.batches import scale
    from training.export import export_network
    from training.network import shipped_part

    # Trained perhaps with short floats, used with whole ones; and the optimizer's memory stays behind.
    keras.mixed_precision.set_global_policy("float32")
    model = recipe.build()
    take_weights(model, out)
    temperature = 1.0
    if shipped:
        center_landmarks(model, training, scaler)
        model = shipped_part(model)
        known = validation.labelled()
        logits = model.predict(scale(scaler, known.gray), batch_size=256, verbose=0)["smile"][:, 0]
        temperature = fit_temperature(logits, known.smile)
        export_network(model, scaler, temperature, out / "smile.tflite")
    save_network(model, out / "my_model.keras")
    save_split(faces, out / "split.csv.gz")
    real = training.where(training.face == 1)
    earlier = what_was_trained(start_from)["trained_on"] if start_from else {}
    counts = earlier | {str(name): int((real.source == name).sum()) for name in np.unique(real.source)}
    write_json_whole(
        out / "training.json",
        {
            "network": model.name,
            "trained_on": counts,
            "backgrounds": int((training.face == 0).sum()),
            "seed": progress.seed,
            "epochs": len(progress.history),
            "chosen_epoch": progress.best() + 1,
            "precision": precision,
            "stages": [
                *earlier_stages(start_from),
                {
                    "epochs": len(progress.history),
                    "rate": recipe.rate,
                    "plain_share": recipe.plain_share,
                    "guessed_weight": recipe.guessed_weight,
                    "taught_share": taught_share,
                    **({"labels_from": labels_from} if labels_from else {}),
                },
            ],
            "weights": model.count_params(),
            "temperature": temperature,
            "history": progress.history,
        },
    )
    (out / "progress.json").unlink()
    for checkpoint in out.glob("checkpoint-*.keras"):
        checkpoint.unlink()


def center_landmarks(model: keras.Model, training: Faces, scaler: Any) -> None:
    """Moves each landmark by its mean error on the training part's measured faces.

    Half of the pictures were mirrored in training, so a network can't learn that a set's points lie to one side of where
    they should. They do: those of the keypoints set by a hundredth or two of a box.
    """
    from training.batches import scale

    measured = training.where(~np.isnan(training.landmarks).any(axis=(1, 2)))
    if len(measured) < 500:
        return
    points = model.predict(scale(scaler, measured.gray), batch_size=256, verbose=0)["landmarks"]
    layer = model.get_layer("landmarks")
    layer.bias.assign_add((measured.landmarks.reshape(len(measured), -1) - points).mean(axis=0))


def _digest_of_all_that_matters(
    faces: Faces,
    recipe: Recipe,
    seed: int,
    precision: str,
    start_from: Path | None,
    taught: np.ndarray | None,
    taught_share: float,
) -> str:
    """A killed training goes on only where data, code and options are still the same."""
    options = (
        recipe.epochs,
        recipe.batch,
        recipe.rate,
        recipe.plain_share,
        recipe.guessed_weight,
        seed,
        precision,
        str(start_from),
        taught_share if taught is not None else None,
    )
    digest = hashlib.sha256(repr(options).encode())
    for array in (faces.gray, faces.smile, faces.source, faces.split, np.empty(0) if taught is None else taught):
        digest.update(array.tobytes())
    for module in ("train", "progress", "batches", "recipes", "network", "teacher", "augmentation"):
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
    options = parser.parse_args(argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    out = options.out or Path("runs") / options.network
    try:
        if options.epochs is not None and options.epochs < 1:
            raise DatasetError("--epochs must be 1 or more.")
        if not 0 <= options.soft_share <= 1:
            raise DatasetError("--soft-share must be from 0 to 1.")
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
        train(
            faces,
            out,
            recipe,
            taught=taught_labels(faces, options.soft_labels) if options.soft_labels else None,
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
        )
    except SmileError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The network could not be written to {out}: {error}.", file=sys.stderr)
        return 2
    if options.network == "smile":
        print(f"Wrote {out}/smile.tflite; judge it with `python -m training.evaluate --model {out}`.")
    else:
        print(f"Wrote {out}/my_model.keras; training.json beside it holds its validation figures.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
