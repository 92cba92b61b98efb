"""End a training: calibrate and export the chosen epoch's network, and write the files that say how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.judged import Judged
from training.data.faces import Faces
from training.data.splits import save_split
from training.fitting.hold import measure_hold, save_hold
from training.fitting.lineage import earlier_stages, take_weights, what_was_trained
from training.fitting.progress import TrainingProgress, save_network, write_json_whole
from training.fitting.standing import judged_by

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

_FEWEST_MEASURED = 500  # with fewer faces, the mean error would be chance


def finish(progress: TrainingProgress, faces: Faces, training: Faces, scaler: MinMaxScaler) -> Judged | None:
    """Writes all files of a whole training, whose epochs are in `progress`, and removes what was there to go on from.

    `faces`: the whole dataset, `training` the part of it that was trained on. Returns what the app's file says of itself.
    """
    import keras

    from training.networks.network import shipped_part

    out, plan = progress.out, progress.plan
    # Trained perhaps with short floats, used with whole ones; and the optimizer's memory stays behind.
    keras.mixed_precision.set_global_policy("float32")
    model = plan.recipe.build()
    take_weights(model, out)
    temperature, judged = 1.0, None
    if plan.shipped:
        center_landmarks(model, training, scaler)
        model = shipped_part(model)
        temperature, judged = _export(model, scaler, progress.validation, out / "smile.tflite")
        save_hold(out, measure_hold(model, scaler, temperature, training, seed=plan.seed))
    save_network(model, out / "my_model.keras")
    save_split(faces, out / "split.csv.gz")
    write_json_whole(out / "training.json", _how_it_was_made(progress, model, training, temperature))
    progress.forget()
    return judged


def _export(model: keras.Model, scaler: MinMaxScaler, validation: Faces, path: Path) -> tuple[float, Judged]:
    """Writes the app's file, calibrated and judged on the validation part. Returns the temperature and the record."""
    from training.fitting.batches import scale
    from training.networks.export import export_network

    real = validation.where(validation.face == 1)
    read = model.predict(scale(scaler, real.gray), batch_size=256, verbose=0)
    logits, known = read["smile"][:, 0], real.smile >= 0
    temperature = fit_temperature(logits[known], real.smile[known])
    judged = judged_by("validation", real, logits, read["presence"][:, 0])
    export_network(model, scaler, temperature, path, judged)
    return temperature, judged


def _how_it_was_made(progress: TrainingProgress, model: keras.Model, training: Faces, temperature: float) -> dict[str, Any]:
    """What training.json says."""
    plan, recipe = progress.plan, progress.plan.recipe
    real = training.where(training.face == 1)
    earlier = what_was_trained(plan.start_from)["trained_on"] if plan.start_from else {}
    stage: dict[str, Any] = {
        "epochs": len(progress.history),
        "rate": recipe.rate,
        "plain_share": recipe.plain_share,
        "guessed_weight": recipe.guessed_weight,
        "taught_share": plan.taught.share if plan.taught else 0.0,
        "dense": bool(plan.taught and plan.taught.dense),
    }
    return {
        "network": model.name,
        "trained_on": earlier | {str(name): int((real.source == name).sum()) for name in np.unique(real.source)},
        "backgrounds": int((training.face == 0).sum()),
        "seed": plan.seed,
        "epochs": len(progress.history),
        "chosen_epoch": progress.best() + 1,
        "precision": plan.precision,
        "stages": [
            *earlier_stages(plan.start_from),
            stage | ({"labels_from": dict(plan.labels_from)} if plan.labels_from else {}),
        ],
        "weights": model.count_params(),
        "temperature": temperature,
        "history": progress.history,
    }


def center_landmarks(model: keras.Model, training: Faces, scaler: MinMaxScaler) -> None:
    """Moves each landmark by its mean error on the training part's measured faces.

    Half of the pictures were mirrored in training, so a network can't learn that a set's points lie too far to one side.
    Those of the keypoints set do, by a hundredth or two of a box.
    """
    from training.fitting.batches import scale

    measured = training.where(~np.isnan(training.landmarks).any(axis=(1, 2)))
    if len(measured) < _FEWEST_MEASURED:
        return
    points = model.predict(scale(scaler, measured.gray), batch_size=256, verbose=0)["landmarks"]
    layer = model.get_layer("landmarks")
    layer.bias.assign_add((measured.landmarks.reshape(len(measured), -1) - points).mean(axis=0))


def fit_temperature(logits: np.ndarray, smile: np.ndarray) -> float:
    """The number that logits are divided by to make their sigmoid a probability (Guo et al. 2017), fitted on `val`."""
    candidates = np.exp(np.linspace(np.log(0.25), np.log(4), 400))
    signs = np.where(smile > 0, 1.0, -1.0)
    losses = [np.logaddexp(0, -signs * logits / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])
