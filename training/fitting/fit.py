"""Fit a network to the faces of a dataset, or go on with a training that was stopped."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
import numpy as np

from common.errors import DatasetError
from common.judged import Judged
from training.data.dense import Dense
from training.data.faces import Faces
from training.data.predictions import read_predictions
from training.fitting.distributed import Workers, fit_together
from training.fitting.finish import finish
from training.fitting.lineage import check_start, take_weights
from training.fitting.plan import Plan
from training.fitting.precision import require_precision
from training.fitting.progress import TrainingProgress

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

    from training.fitting.batches import Batches
    from training.networks.recipes import Recipe


# Modules that decide the result of a training.
_CODE = (
    *(f"fitting/{name}.py" for name in ("fit", "plan", "progress", "finish", "batches", "augmentation", "distributed")),
    *(
        "data/faces.py",
        "data/reading.py",
        "data/dense.py",
        "networks/recipes.py",
        "networks/network.py",
        "networks/teacher.py",
    ),
)
NETWORKS = ("smile", "teacher", "lenet", "seed", "minimal", "keypoints", "vgg19")


def train(faces: Faces, out: Path, plan: Plan, workers: Workers | None = None) -> Judged | None:
    """Trains on `faces`' training part, chooses the epoch by its validation part, and writes all files into `out`.

    `workers`: that train together, of which only the chief writes. Returns what the app's file says of itself. Raises
    DatasetError, and SettingsError where this computer can't compute in the plan's precision.
    """
    import keras

    from training.fitting.batches import fit_scaler, resized, use_one_opencv_thread

    recipe = plan.recipe
    use_one_opencv_thread()
    keras.utils.set_random_seed(plan.seed)
    require_precision(plan.precision)
    keras.mixed_precision.set_global_policy(plan.precision)
    chief = workers is None or workers.chief
    model = recipe.build()
    _check_labels(faces, tuple(model.output))
    training = faces.where(_in_training(faces, model))
    scaler = fit_scaler(resized(training.where(training.face == 1), recipe.size, recipe.view_scale))
    if chief:
        (out / "logs").mkdir(parents=True, exist_ok=True)
        joblib.dump(scaler, out / "scaler.save")
    batches = _batches(faces, model, scaler, plan, workers.share if workers else slice(None))
    if plan.start_from:
        check_start(plan.start_from, faces)
        take_weights(model, plan.start_from)
    _compile(model, recipe, steps=recipe.epochs * len(batches))
    progress = TrainingProgress(out, digest_of_all_that_matters(faces, plan), plan, faces.part("val"), scaler)
    if chief and (done := progress.resume()) is not None:
        model = done
        print(f"continuing after epoch {len(progress.history)}", flush=True)
    batches.start(len(progress.history))
    first = recipe.epochs if progress.finished() else len(progress.history)
    callbacks = [progress.callback(), keras.callbacks.TensorBoard(out / "logs", write_graph=False)]
    if workers or first < recipe.epochs:
        _make_variables(model, batches[0])
    if workers:
        fit_together(model, batches, workers, seed=plan.seed, epochs=recipe.epochs, first=first, callbacks=callbacks)
    elif first < recipe.epochs:
        model.fit(batches, epochs=recipe.epochs, initial_epoch=first, verbose=0, shuffle=False, callbacks=callbacks)
    return finish(progress, faces, training, scaler) if chief else None


def _in_training(faces: Faces, model: keras.Model) -> np.ndarray:
    """Which faces the network is trained on, bool `(n,)`; backgrounds teach nothing but presence."""
    chosen = faces.split == "train"
    return chosen if "presence" in model.output else chosen & (faces.face == 1)


def _batches(faces: Faces, model: keras.Model, scaler: MinMaxScaler, plan: Plan, share: slice) -> Batches:
    from training.fitting.batches import Batches

    chosen = _in_training(faces, model)
    return Batches(
        faces.where(chosen),
        scaler,
        tuple(model.output),
        plan.recipe,
        seed=plan.seed,
        taught=plan.taught.where(chosen) if plan.taught else None,
        epochs=0 if plan.start_from else plan.recipe.epochs,
        share=share,
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

    from training.networks.network import LOSS_WEIGHTS, losses
    from training.networks.recipes import cosine_rate

    model.compile(
        keras.optimizers.AdamW(cosine_rate(recipe, steps), weight_decay=1e-3),
        {name: losses(recipe.landmark_loss)[name] for name in model.output},
        loss_weights={name: LOSS_WEIGHTS[name] for name in model.output},
        jit_compile=False,  # XLA, Keras' own choice, takes twice as long for these layers on a processor
    )


def _make_variables(model: keras.Model, batch: tuple) -> None:
    """Those of the optimizer and of the losses: TensorFlow traces a first step twice that has yet to make them."""
    x, y, weight = batch
    model.optimizer.build(model.trainable_variables)
    model.compute_loss(x, y, model(x, training=False), weight, training=False)


def digest_of_all_that_matters(faces: Faces, plan: Plan) -> str:
    """A killed training goes on, and machines train together, only where data, code and options are still the same."""
    options = [getattr(plan.recipe, field.name) for field in dataclasses.fields(plan.recipe) if field.name != "build"]
    options += [plan.seed, plan.precision, str(plan.start_from), plan.taught.share if plan.taught else None]
    digest = hashlib.sha256(repr(options).encode())
    taught = plan.taught
    dense = (taught.dense.points, taught.dense.shapes) if taught and taught.dense else ()
    for array in (*faces.fields().values(), taught.smile if taught else np.empty(0), *dense):
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    for statement in _statements():
        digest.update(statement.encode())
    return digest.hexdigest()


def _statements() -> list[str]:
    """The code of a training, sorted, so that moving a function to another file changes nothing."""
    folder = Path(__file__).parents[1]
    nodes = [node for name in _CODE for node in ast.parse((folder / name).read_text(encoding="utf-8")).body]
    said = [node for node in nodes if not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr))]
    return sorted(ast.unparse(node) for node in said)


def choose_sources(faces: Faces, sources: list[str] | None, without: list[str] | None, data: Path) -> Faces:
    """The faces of the named sets, or of all sets except some. Raises DatasetError for a set that is not there."""
    unknown = sorted({*(sources or []), *(without or [])} - set(faces.source.tolist()))
    if unknown:
        raise DatasetError(f"{data} has no set called {', '.join(unknown)}; build the dataset with it.")
    chosen = np.isin(faces.source, sources) if sources else np.ones(len(faces), bool)
    return faces.where(chosen & ~np.isin(faces.source, without or []))


def taught_labels(faces: Faces, path: Path) -> np.ndarray:
    """P(smile) `(n,)` by the teacher whose opinions are in `path`, NaN if it has none. Raises DatasetError."""
    said = read_predictions(path)
    taught = np.array([said.get(key, np.nan) for key in zip(faces.source.tolist(), faces.name.tolist(), strict=True)])
    taught[faces.split != "train"] = np.nan
    if np.isnan(taught).all():
        raise DatasetError(f"{path} says nothing about this dataset's training faces; make it from the same dataset.")
    return taught


def taught_points(faces: Faces, paths: Sequence[Path]) -> Dense:
    """What the teacher in `paths` sees in the faces, NaN where it is silent. Raises DatasetError."""
    dense = Dense.of_files(paths).of(faces)
    if np.isnan(dense.shapes[faces.split == "train"]).all():
        said = ", ".join(map(str, paths))
        raise DatasetError(f"Of this dataset's training faces none is seen in {said}; make it from the same dataset.")
    return dense
