"""Teach a trained network a user's own smiles: the default of `training.train`.

A few hundred faces can't teach presence and landmarks; a network that learns these from them soon sees no face at all.
So only the smile output learns here, a logistic regression on what the trained network sees in each face. Presence and
landmarks stay exactly what they were. The output is held near its old weights by the faces that the network learned from
before (`training/fitting/hold.py`). The fit has one optimum, so it takes seconds and ends alike on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import balanced_accuracy_score

from common.errors import DatasetError
from common.judged import Judged
from training.data.assembling import deal_folds
from training.data.faces import Faces
from training.data.splits import save_split
from training.fitting.hold import (
    features_of,
    load_hold,
    measure_hold,
    read_features,
    save_hold,
    smile_weights,
    with_bias,
)
from training.fitting.lineage import check_start, earlier_stages, what_was_trained
from training.fitting.progress import save_network, write_json_whole
from training.fitting.standing import judged_by

if TYPE_CHECKING:
    import keras

VIEWS = 6  # looks at each face, besides the plain one and its mirror image
FOLDS = 5
# How much the old faces count against the new ones: as this many faces, but at least and at most so many times as much as
# these. Chosen by the validation parts, see docs/experiments.md.
_HELD_BY, _LEAST, _MOST = 800, 4.0, 10.0


@dataclass(frozen=True)
class Tuned:
    """`judged`: the new network, by cross-validation. `before`: balanced accuracy of the network before on the same faces, 0
    to 1. `kept`: the faces taught nothing, so the smile output stayed as it was.
    """

    judged: Judged
    before: float
    kept: bool

    def __str__(self) -> str:
        judged = self.judged
        said = (
            f"Read right, of {judged.smiling} smiling and {judged.serious} other faces (mean of the two), each by a network "
            f"that has not learned from it: {judged.balanced:.1%}. The network before: {self.before:.1%}."
        )
        if self.kept:
            said += "\nThese faces teach it nothing new, so its smile output stays as it was."
        return said


def fine_tune(faces: Faces, out: Path, start: Path, *, seed: int = 0, labels_from: Mapping[str, str] | None = None) -> Tuned:
    """Fits the smile output of the network in folder `start` to the labelled faces of the training and validation parts, and
    writes all files of a trained network into `out`. Raises DatasetError.
    """
    from training.fitting.batches import scale
    from training.networks.export import export_network

    check_start(start, faces)
    known = faces.where((faces.split != "test") & (faces.face == 1)).labelled()
    if len(np.unique(known.smile)) < 2:
        raise DatasetError("Training needs both smiling and not smiling faces; add pictures of each.")
    made = what_was_trained(start)
    model, scaler = whole_network(start)
    old = smile_weights(model, float(made.get("temperature", 1.0)))
    hold = load_hold(start, len(old))
    print(f"{len(known)} faces, {VIEWS + 2} looks at each", flush=True)
    read = read_features(features_of(model), scaler, known, views=VIEWS, seed=seed)
    unseen = _cross_validated(known, read, old, hold, seed)
    before = with_bias(read[:, 0]) @ old
    kept = _loss(known.smile, unseen) >= _loss(known.smile, before)
    new = old if kept else fit_smile_output(known, read, old, hold)
    presence = model.predict(scale(scaler, known.gray), batch_size=256, verbose=0)["presence"][:, 0]
    judged = judged_by("cross-validation", known, before if kept else unseen, presence)
    tuned = Tuned(judged, float(balanced_accuracy_score(known.smile > 0, before > 0)), kept)
    model.get_layer("smile").set_weights([new[:-1, None], new[-1:]])
    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(scaler, out / "scaler.save")
    export_network(model, scaler, 1.0, out / "smile.tflite", tuned.judged)
    save_network(model, out / "my_model.keras")
    # What chose the strength of the hold was learned from as well, so a later training must not be judged by it.
    save_split(replace(faces, split=np.where(faces.split == "val", "train", faces.split)), out / "split.csv.gz")
    save_hold(out, measure_hold(model, scaler, 1.0, known, seed=seed) / _strength(len(known)) + hold)
    stage: dict[str, Any] = {"tuned": len(known), **asdict(tuned)}
    if labels_from:
        stage["labels_from"] = dict(labels_from)
    write_json_whole(out / "training.json", _how_it_was_made(start, made, known, model, stage, seed))
    return tuned


def whole_network(folder: Path) -> tuple[keras.Model, Any]:
    """The exported network of an earlier training and its scaler. Raises DatasetError."""
    import keras

    import training.networks.network  # noqa: F401 - the network's own layer, by which Keras knows it

    try:
        model = keras.models.load_model(folder / "my_model.keras", compile=False)
        scaler = joblib.load(folder / "scaler.save")
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise DatasetError(f"{folder} holds no whole network; give the folder of a finished training.") from error
    if "smile" not in model.output or "presence" not in model.output:
        raise DatasetError(f"The network in {folder} is not one that the app loads; leave its folder out.")
    return model, scaler


def _strength(count: int) -> float:
    return float(np.clip(_HELD_BY / count, _LEAST, _MOST))


def _cross_validated(known: Faces, read: np.ndarray, old: np.ndarray, hold: np.ndarray, seed: int) -> np.ndarray:
    """The logit `(n,)` of each face, by weights that were fitted without its group.

    Where most faces are one person's, without the face: then the question is how well this person is read.
    """
    _, group, sizes = np.unique(known.group, return_inverse=True, return_counts=True)
    if sizes.max() > len(known) / 2:
        group = np.arange(len(known))
    fold = deal_folds(group, FOLDS, seed)
    logits = np.empty(len(known))
    for k in np.unique(fold):
        there = fold == k
        logits[there] = with_bias(read[there, 0]) @ fit_smile_output(known.where(~there), read[~there], old, hold)
    return logits


def fit_smile_output(
    known: Faces, read: np.ndarray, old: np.ndarray, hold: np.ndarray, strength: float | None = None
) -> np.ndarray:
    """The weights with the least loss on the faces' views `(n, views, d)`, plus the loss that leaving `old` costs.

    `strength`: how many times as much as the loss of the new faces the old ones' counts (default: by how many are new).
    """
    from training.fitting.batches import make_targets

    targets = make_targets(known)
    views = read.shape[1]
    x = with_bias(read.reshape(-1, read.shape[2]))
    y, weight = (np.repeat(v, views).astype(float) for v in (targets.value["smile"][:, 0], targets.weight["smile"]))
    # In coordinates in which H is the unit matrix, all directions are equally steep.
    root = np.linalg.cholesky(hold + 1e-4 * np.trace(hold) / len(hold) * np.eye(len(hold)))
    turned, logits = np.linalg.solve(root, x.T).T, x @ old
    strength = _strength(len(known)) if strength is None else strength

    def loss(step: np.ndarray) -> tuple[float, np.ndarray]:
        z = turned @ step + logits
        value = np.mean(weight * (np.logaddexp(0, z) - y * z)) + strength / 2 * step @ step
        return value, turned.T @ (weight * (1 / (1 + np.exp(-z)) - y)) / len(z) + strength * step

    found = minimize(loss, np.zeros(len(old)), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return old + np.linalg.solve(root.T, found.x)


def _loss(smile: np.ndarray, logits: np.ndarray) -> float:
    return float(np.mean(np.logaddexp(0, np.where(smile > 0, -logits, logits))))


def _how_it_was_made(start: Path, made: dict, known: Faces, model: keras.Model, stage: dict, seed: int) -> dict[str, Any]:
    """What training.json says."""
    counts = {str(name): int((known.source == name).sum()) for name in np.unique(known.source)}
    return {
        "network": model.name,
        "trained_on": made["trained_on"] | counts,
        "backgrounds": made.get("backgrounds", 0),
        "seed": seed,
        "epochs": 0,
        "precision": "float32",
        "stages": [*earlier_stages(start), stage],
        "weights": model.count_params(),
        "temperature": 1.0,
        "history": [],
    }
