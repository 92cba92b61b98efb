"""How firmly earlier faces hold the weights of the smile output.

After a training, the mean loss of its faces rises by about `d' H d / 2` when weights and bias of the smile output move by d:
H is the Hessian at their place, for logistic loss the mean of p (1 - p) x x' over the faces' features x. With H, a
network can learn from new faces and forget little of the old ones, which need not be there any more: elastic weight
consolidation (Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796), here with all of H instead of its diagonal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import DatasetError
from training.data.faces import Faces, load_arrays, save_arrays
from training.fitting.augmentation import look, random_view, spoil

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

FILE_NAME = "hold.npz"
_STRENGTH = 0.5  # of the views: half as hard as in training
_MOST = 20_000  # faces: more would not change H any more
_BLOCK = 2048  # faces whose views are in memory at once


def features_of(model: keras.Model) -> keras.Model:
    """The network up to what its smile output reads: scaled crops `(n, 64, 64, 1)` -> `(n, d)`."""
    import keras

    return keras.Model(model.inputs, model.get_layer("smile").input)


def read_features(trunk: keras.Model, scaler: MinMaxScaler, faces: Faces, *, views: int, seed: int) -> np.ndarray:
    """Features float32 `(n, 2 + views, d)` of each face: as it is, mirrored, and `views` times drawn at random."""
    from training.fitting.batches import scale

    looks: list[np.ndarray] = []
    for start in range(0, len(faces), _BLOCK):
        rows = range(start, min(start + _BLOCK, len(faces)))
        some = [faces.gray[start : rows.stop], faces.gray[start : rows.stop, :, ::-1]]
        some += [np.stack([_drawn(faces.wide[i], [seed, i, view]) for i in rows]) for view in range(views)]
        read = trunk.predict(scale(scaler, np.concatenate(some)), batch_size=256, verbose=0)
        looks.append(read.reshape(len(some), len(rows), -1).swapaxes(0, 1))
    return np.concatenate(looks)


def _drawn(wide: np.ndarray, dice: list[int]) -> np.ndarray:
    rng = np.random.default_rng(dice)
    gray = look(wide, random_view(rng, _STRENGTH))
    return spoil(gray, rng) if rng.random() < _STRENGTH else gray


def measure_hold(model: keras.Model, scaler: MinMaxScaler, temperature: float, faces: Faces, *, seed: int) -> np.ndarray:
    """H, float32 `(d + 1, d + 1)`, the bias last, of the calibrated smile output, over labelled training faces."""
    from training.fitting.batches import sample_weights

    known = faces.labelled()
    if len(known) > _MOST:
        known = known.where(np.sort(np.random.default_rng(seed).choice(len(known), _MOST, replace=False)))
    read = read_features(features_of(model), scaler, known, views=1, seed=seed)  # (n, 3, d)
    weight = np.repeat(sample_weights(known), read.shape[1]).astype(float)
    x = with_bias(read.reshape(-1, read.shape[2]))
    probability = 1 / (1 + np.exp(-x @ smile_weights(model, temperature)))
    weight *= probability * (1 - probability)
    return ((x * weight[:, None]).T @ x / len(x)).astype(np.float32)


def smile_weights(model: keras.Model, temperature: float) -> np.ndarray:
    """Weights and bias of the smile output, float `(d + 1,)`, divided by the temperature."""
    kernel, bias = model.get_layer("smile").get_weights()
    return np.append(kernel[:, 0], bias).astype(float) / temperature


def with_bias(features: np.ndarray) -> np.ndarray:
    """Features `(n, d)` and a one: float64 `(n, d + 1)`."""
    return np.column_stack([features.astype(float), np.ones(len(features))])


def save_hold(folder: Path, hold: np.ndarray) -> None:
    save_arrays(folder / FILE_NAME, {"hold": hold})


def load_hold(folder: Path, width: int) -> np.ndarray:
    """H, float64 `(width, width)`, of the network in `folder`. Raises DatasetError."""
    path = folder / FILE_NAME
    try:
        hold = load_arrays(path, ["hold"])["hold"].astype(float)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is missing or damaged; `python -m training.hold --model {folder}` makes it.") from error
    if hold.shape != (width, width) or not np.isfinite(hold).all():
        raise DatasetError(f"{path} belongs to another network; `python -m training.hold --model {folder}` makes it anew.")
    return hold
