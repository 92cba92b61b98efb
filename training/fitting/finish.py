"""End a training: calibrate and export the chosen epoch's network, and write the files that say how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.data.faces import Faces
from training.data.splits import save_split
from training.fitting.lineage import earlier_stages, take_weights, what_was_trained
from training.fitting.progress import Progress, save_network, write_json_whole

if TYPE_CHECKING:
    import keras

_FEWEST_MEASURED = 500  # with fewer faces, the mean error would be chance


def finish(
    progress: Progress,
    faces: Faces,
    training: Faces,
    validation: Faces,
    scaler: Any,
    *,
    precision: str,
    shipped: bool,
    start_from: Path | None,
    taught_share: float,
    labels_from: dict[str, str] | None,
) -> None:
    """Writes all files of a finished training, whose epochs are in `progress`, and removes the files for going on.

    `faces`: the whole dataset, `training` and `validation` its parts; the other options as `train` has them.
    """
    import keras

    from training.fitting.batches import scale
    from training.networks.export import export_network
    from training.networks.network import shipped_part

    out = progress.out
    # It may have been trained with short floats, but is used with full ones. The optimizer's memory stays behind.
    keras.mixed_precision.set_global_policy("float32")
    model = progress.recipe.build()
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
    stage: dict[str, Any] = {
        "epochs": len(progress.history),
        "rate": progress.recipe.rate,
        "plain_share": progress.recipe.plain_share,
        "guessed_weight": progress.recipe.guessed_weight,
        "taught_share": taught_share,
    }
    made = {
        "network": model.name,
        "trained_on": earlier | {str(name): int((real.source == name).sum()) for name in np.unique(real.source)},
        "backgrounds": int((training.face == 0).sum()),
        "seed": progress.seed,
        "epochs": len(progress.history),
        "chosen_epoch": progress.best() + 1,
        "precision": precision,
        "stages": [*earlier_stages(start_from), stage | ({"labels_from": labels_from} if labels_from else {})],
        "weights": model.count_params(),
        "temperature": temperature,
        "history": progress.history,
    }
    write_json_whole(out / "training.json", made)
    progress.forget()


def center_landmarks(model: keras.Model, training: Faces, scaler: Any) -> None:
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
