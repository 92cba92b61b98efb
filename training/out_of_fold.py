"""Ask networks about faces that they were not trained on, for every face of the training part.

    python -m training.out_of_fold                     # two teachers, each trained on half of the groups
    python -m training.out_of_fold --network smile --folds 3 --out runs/small_opinions

The training part is dealt into folds, whole groups of near-copies and persons at a time. For each fold a network is trained
without it and then asked about it. The answers go to `OUT/out_of_fold.csv.gz`: `source, name, fold, smile` (P(smile), the
mean of a face and its mirror image). If they contradict a label, the label is suspicious (`training.relabel`). As softer
labels they teach a smaller network (`training.train --soft-labels`). A killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from common.commands import command, said_plainly
from common.errors import DatasetError
from training.data.assembling import deal_folds as deal_folds
from training.data.faces import Faces
from training.data.predictions import write_predictions
from training.fitting.finish import fit_temperature
from training.fitting.fit import NETWORKS, choose_sources, train
from training.fitting.plan import Plan
from training.quiet import tensorflow_quiet

if TYPE_CHECKING:
    from training.networks.recipes import Recipe

FILE_NAME = "out_of_fold.csv.gz"
_MADE_OF = "made_of.sha256"  # in a fold's folder: a digest of what its network is trained on, and how
_JUDGES = [name for name in NETWORKS if name != "keypoints"]  # it says nothing about smiles


def smile_logits(folder: Path, recipe: Recipe, faces: Faces) -> np.ndarray:
    """What the network in `folder` says about crops, float `(n,)`: the mean for each crop and its mirror image."""
    import keras

    from training.fitting.batches import resized, scale

    model = keras.models.load_model(folder / "my_model.keras", compile=False)
    scaler = joblib.load(folder / "scaler.save")
    logits = np.zeros(len(faces))
    for start in range(0, len(faces), 2048):  # resized crops of all faces would not fit into memory
        gray = resized(faces.where(np.arange(start, min(start + 2048, len(faces)))), recipe.size, recipe.view_scale)
        for picture in (gray, gray[:, :, ::-1]):
            x: Any = scale(scaler, picture)
            x = np.repeat(x, 3, axis=3) if recipe.color else x
            logits[start : start + 2048] += model.predict(x, batch_size=256, verbose=0)["smile"][:, 0] / 2
    return logits


def predict_out_of_fold(
    faces: Faces, out: Path, recipe: Recipe, *, folds: int, seed: int, precision: str, patience: int
) -> Path:
    """Trains a network for each fold and writes what it says about that fold's labelled faces. Returns the file's path.

    Raises DatasetError if `out` holds a network that was trained in another way: it may have seen the faces in question.
    """
    plan = Plan(recipe, seed=seed, patience=patience, precision=precision, shipped=False)
    is_training = faces.split == "train"
    fold_of = np.where(is_training, deal_folds(faces.group, folds, seed), -1)
    logits = np.full(len(faces), np.nan)
    for fold in range(folds):
        folder = out / f"fold-{fold}"
        if not _is_trained(folder, _digest(faces, fold_of != fold, plan)):
            print(f"fold {fold + 1} of {folds}", flush=True)
            train(faces.where(fold_of != fold), folder, plan)
        held = np.flatnonzero((fold_of == fold) & (faces.smile >= 0))
        validation = faces.part("val").labelled()
        temperature = fit_temperature(smile_logits(folder, recipe, validation), validation.smile)
        logits[held] = smile_logits(folder, recipe, faces.where(held)) / temperature
        right = (logits[held] > 0) == (faces.smile[held] > 0)
        print(f"fold {fold + 1}: agrees with {right.mean():.1%} of {len(held)} labels", flush=True)
    rows = np.flatnonzero(~np.isnan(logits))
    write_predictions(out / FILE_NAME, faces.source[rows], faces.name[rows], fold_of[rows], 1 / (1 + np.exp(-logits[rows])))
    return out / FILE_NAME


def _is_trained(folder: Path, digest: str) -> bool:
    """Whether the network in `folder` is whole. If not, notes what it will be made from. Raises DatasetError for another
    network.
    """
    note = folder / _MADE_OF
    whole = (folder / "training.json").is_file()
    if whole and not (note.is_file() and note.read_text().strip() == digest):
        raise DatasetError(
            f"{folder} holds a network that was trained on other faces or in another way, and may have seen those that it "
            f"would be asked about; choose another --out, or delete that folder."
        )
    if not whole:
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(digest + "\n")
    return whole


def _digest(faces: Faces, chosen: np.ndarray, plan: Plan) -> str:
    """Of the faces `chosen` (bool `(n,)`) and all options, but not of the code: a comment changes no network."""
    recipe = plan.recipe
    shape = {field.name: getattr(recipe, field.name) for field in fields(recipe) if field.name != "build"}
    options = (recipe.build.__qualname__, shape, plan.seed, plan.precision, plan.patience)
    digest = hashlib.sha256(repr(options).encode())
    for array in (faces.gray, faces.smile, faces.source, faces.name, faces.group, faces.split):
        digest.update(array[chosen].tobytes())
    return digest.hexdigest()


@tensorflow_quiet()
@said_plainly("The predictions could not be written")
def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training.out_of_fold", description="Ask networks about faces that they were not trained on."
    )
    parser.add_argument("--network", choices=_JUDGES, default="teacher", help="what to train (default teacher)")
    parser.add_argument("--data", type=Path, default=Path("datasets/faces.npz"), help="from `python -m training.dataset`")
    parser.add_argument("--sources", nargs="+", help="only these sets of the dataset")
    parser.add_argument("--without", nargs="+", help="leave these sets of the dataset out")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="epochs of each training (default: the network's own)")
    parser.add_argument("--out", type=Path, default=Path("runs/out_of_fold"), help="folder (default runs/out_of_fold)")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.folds < 2 or (options.epochs is not None and options.epochs < 1):
        raise DatasetError("--folds must be 2 or more, and --epochs 1 or more.")
    faces = choose_sources(Faces.load(options.data), options.sources, options.without, options.data)
    from training.networks.recipes import RECIPES

    recipe = RECIPES[options.network]
    recipe = replace(recipe, epochs=options.epochs or recipe.epochs)
    path = predict_out_of_fold(
        faces,
        options.out,
        recipe,
        folds=options.folds,
        seed=options.seed,
        precision=options.precision,
        patience=recipe.epochs,
    )
    print(f"Wrote {path}; look at what it doubts with:")
    print(command("training.relabel", data=options.data, predictions=path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
