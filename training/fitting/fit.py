"""Fit a network to the faces of a dataset, or go on with a training that was stopped."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np

from common.errors import DatasetError
from training.data.faces import Faces
from training.data.predictions import read_predictions
from training.fitting.distributed import Workers, fit_together
from training.fitting.finish import finish
from training.fitting.lineage import check_start, take_weights
from training.fitting.progress import Progress

if TYPE_CHECKING:
    import keras

    from training.networks.recipes import Recipe


# Modules that decide what a training comes to.
_CODE = (
    *(f"fitting/{name}.py" for name in ("fit", "progress", "finish", "batches", "augmentation", "distributed")),
    *("data/faces.py", "data/reading.py", "networks/recipes.py", "networks/network.py", "networks/teacher.py"),
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

    from training.fitting.batches import Batches, fit_scaler, resized, use_one_opencv_thread

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
    digest = digest_of_all_that_matters(faces, recipe, seed, precision, start_from, taught, taught_share)
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
        _make_variables(model, batches[0])
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

    from training.networks.recipes import cosine_rate

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


def _make_variables(model: keras.Model, batch: tuple) -> None:
    """Those of the optimizer and of the losses: TensorFlow traces a first step twice that has yet to make them."""
    x, y, weight = batch
    model.optimizer.build(model.trainable_variables)
    model.compute_loss(x, y, model(x, training=False), weight, training=False)


def digest_of_all_that_matters(
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
    for statement in _statements():
        digest.update(statement.encode())
    return digest.hexdigest()


def _statements() -> list[str]:
    """All that the code of a training says, sorted: a function that moves to another file changes nothing."""
    folder = Path(__file__).parents[1]
    nodes = [node for name in _CODE for node in ast.parse((folder / name).read_text(encoding="utf-8")).body]
    said = [node for node in nodes if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr))]
    return sorted(ast.unparse(node) for node in said)


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
